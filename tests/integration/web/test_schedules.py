"""The pages of schedules: making, previewing, pausing, firing by hand, what came of the firings."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from tests.pages import main_of, text_of

if TYPE_CHECKING:
    from django.test import Client

    from agents.models import Schedule, Workspace
    from tests.integration.web.conftest import As

pytestmark = pytest.mark.django_db
PAGES = "/w/team/schedules/"
NEW = "/w/team/new-schedule/"
DAILY = {
    "name": "digest",
    "timing": "cron",
    "cron": "0 9 * * MON-FRI",
    "time_zone": "America/New_York",
    "agent": "helper",
    "input": "What is new?",
    "overlap": "skip",
    "catch_up": "one",
}


@pytest.fixture
def workspace(db: None) -> Workspace:
    from tests.factories import make_agent, make_workspace

    made = make_workspace(slug="team")
    make_agent(made, "helper")
    return made


@pytest.fixture
def admin(as_: As) -> Client:
    client = as_("admin")
    client.cookies["tz"] = "Europe/Berlin"
    return client


def made(admin: Client, **changes: str) -> Schedule:
    from agents.models import Schedule

    answer = admin.post(NEW, DAILY | changes)
    assert answer.status_code == 302, text_of(answer)
    return Schedule.objects.get(name=(DAILY | changes)["name"])


def test_a_schedule_is_made_shown_changed_and_removed(admin: Client) -> None:
    from agents.models import Schedule

    schedule = made(admin)
    assert (schedule.cron, schedule.time_zone, schedule.input) == (
        "0 9 * * MON-FRI",
        "America/New_York",
        {"goal": "What is new?"},
    )
    assert schedule.agent is not None
    listed = main_of(admin.get(PAGES))
    for words in ("digest", "helper", "at 09:00 on Monday through Friday", "America/New_York", "never"):
        assert words in listed
    shown = main_of(admin.get(f"{PAGES}digest/"))
    assert "<code>schedule.digest</code>" in shown
    assert shown.count("09:00:00 E") == 5, "five firings on New York's clocks"
    assert len(re.findall(r">\w+ \d+ \w+ \d+, 1[45]:00:00 CE", shown)) == 5, "and on the reader's"
    edited = main_of(admin.get(f"{PAGES}digest/edit/"))
    assert "What is new?</textarea>" in edited
    assert 'value="0 9 * * MON-FRI"' in edited
    change = {**DAILY, "timing": "interval", "every": "15", "unit": "60", "input": '{"goal": "g", "deep": true}'}
    assert "is changed" in text_of(admin.post(f"{PAGES}digest/edit/", change, follow=True))
    schedule = Schedule.objects.get()
    assert (schedule.name, schedule.timing, schedule.seconds, schedule.input) == (
        "digest",
        "interval",
        900,
        {"goal": "g", "deep": True},
    )
    edited = main_of(admin.get(f"{PAGES}digest/edit/"))
    assert '<option value="60" selected>' in edited
    assert 'name="every" value="15"' in edited
    assert admin.post(f"{PAGES}digest/remove/").status_code == 302
    assert not Schedule.objects.exists()


def test_once_is_said_on_the_clocks_of_its_zone(admin: Client) -> None:
    schedule = made(admin, timing="once", at="2100-07-01T09:00:30")
    assert schedule.at == datetime(2100, 7, 1, 13, 0, 30, tzinfo=UTC)
    assert 'value="2100-07-01T09:00:30"' in main_of(admin.get(f"{PAGES}digest/edit/"))
    assert "once, 2100-07-01 09:00:30" in main_of(admin.get(PAGES))
    # Of an hour that comes twice, the first; one that is skipped is no time.
    twice = made(admin, name="twice", timing="once", at="2099-11-01T01:30")
    assert twice.at == datetime(2099, 11, 1, 5, 30, tzinfo=UTC)
    missing = admin.post(NEW, DAILY | {"name": "gap", "timing": "once", "at": "2099-03-08T02:30"})
    assert missing.status_code == 422
    assert "The clocks of America/New_York skip this time" in text_of(missing)


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"cron": "61 * * * *"}, "cron", "&#x27;61 * * * *&#x27; is no cron expression: bad minute."),
        ({"cron": ""}, "cron", "five fields"),
        ({"time_zone": "Europe/Atlantis"}, "time_zone", "There is no time zone &#x27;Europe/Atlantis&#x27;"),
        ({"timing": "once", "time_zone": "Nowhere", "at": "2100-01-01T00:00"}, "time_zone", "There is no time zone"),
        ({"timing": "once", "at": "2020-01-01T00:00"}, "at", "still to come"),
        ({"timing": "interval", "every": ""}, "every", "An interval has from 1"),
        ({"timing": "interval", "every": "400", "unit": "86400"}, "every", "An interval has from 1"),
        ({"cron": "*/10 * * * *", "jitter": "600"}, "jitter", "shorter than the time between two firings"),
        ({"agent": "nobody"}, "agent", "nobody is not one of the available choices"),
        ({"input": "{no json"}, "input", "This is no JSON at line 1"),
        ({"input": "{{ nonsense }}"}, "input", "nonsense"),
        ({"name": "Bad Name"}, "name", "small letters"),
        ({"name": "taken"}, "name", "There is a schedule named &#x27;taken&#x27; already."),
    ],
)
def test_what_is_wrong_stands_beside_its_field(admin: Client, change: dict[str, str], field: str, says: str) -> None:
    from agents.models import Schedule

    made(admin, name="taken", cron="0 0 * * *")
    answer = admin.post(NEW, DAILY | change)
    assert answer.status_code == 422
    wrong = re.findall(r'<div class="field field-wrong">(.*?)</div>', main_of(answer), re.DOTALL)
    assert len(wrong) == 1, main_of(answer)
    assert f'name="{field}"' in wrong[0]
    assert says in wrong[0]
    assert Schedule.objects.count() == 1


def test_times_are_shown_before_anything_is_saved(admin: Client) -> None:
    from agents.models import Schedule

    asked = {"preview": "1", **DAILY, "name": "", "agent": "nobody"}
    whole = admin.post(NEW, asked)
    assert whole.status_code == 200
    assert main_of(whole).count("09:00:00 E") == 5
    assert "field-wrong" not in main_of(whole), "what is not filled in yet is not wrong yet"
    part = admin.post(NEW, asked, headers={"HX-Target": "preview"})
    assert "<html" not in text_of(part)
    assert "at 09:00 on Monday through Friday (America/New_York)" in text_of(part)
    wrong = admin.post(NEW, asked | {"cron": "0 0 30 2 *"}, headers={"HX-Target": "preview"})
    assert wrong.status_code == 200, "htmx shows nothing else"
    assert "bad day-of-month" in text_of(wrong)
    assert not Schedule.objects.exists()


def test_paused_it_says_so_and_goes_on(admin: Client) -> None:
    made(admin)
    assert "is paused." in text_of(admin.post(f"{PAGES}digest/pause/", follow=True))
    assert "is paused already" in text_of(admin.post(f"{PAGES}digest/pause/", follow=True))
    assert "once it is resumed" in main_of(admin.get(f"{PAGES}digest/"))
    assert "digest" in main_of(admin.get(f"{PAGES}?state=paused"))
    assert "goes on" in text_of(admin.post(f"{PAGES}digest/resume/", follow=True))
    assert "No schedule fits" in main_of(admin.get(f"{PAGES}?state=paused"))


@pytest.mark.fault(12)
def test_run_now_starts_one_run_however_often_it_is_clicked(admin: Client, as_: As) -> None:
    from agents.models import Event, Run
    from agents.services.dispatching import Dispatcher

    made(admin)
    member = as_("member")
    page = text_of(member.get(f"{PAGES}digest/"))
    key = re.search(r'name="key" value="(\w+)"', page)
    assert key
    for _ in range(3):
        assert member.post(f"{PAGES}digest/run/", {"key": key[1]}).status_code == 302
    waiting = main_of(member.get(f"{PAGES}digest/"))
    assert "not dispatched yet" in waiting
    assert 'hx-trigger="every 2s"' in waiting
    dispatch = Dispatcher()
    dispatch()
    run = Run.objects.get()
    part = text_of(member.get(f"{PAGES}digest/", headers={"HX-Target": "told"}))
    assert f"/w/team/runs/{run.pk}/" in part
    assert "<html" not in part
    assert "by hand, by " in part
    # Another page is another click; the first run is still at work, so the rule about overlaps decides.
    member.post(f"{PAGES}digest/run/", {"key": "another"})
    dispatch()
    assert (Event.objects.count(), Run.objects.count()) == (2, 1)
    assert "skipped" in main_of(member.get(f"{PAGES}digest/"))


def test_what_is_broken_passed_over_or_made_up_for_is_said(admin: Client) -> None:
    from agents.models import Schedule
    from agents.services.firing import fire_due

    schedule = made(admin, name="late", timing="interval", every="1", unit="3600", agent="")
    assert schedule.fires_at is not None
    past = timezone.now() - timedelta(days=2)
    Schedule.objects.update(due_at=past, fires_at=past, anchor=past)
    assert "Late" in main_of(admin.get(PAGES))
    assert fire_due().count == 1
    late = main_of(admin.get(f"{PAGES}late/"))
    assert "48 firings, because no worker was there" in late
    assert "not dispatched yet" in late
    made(admin)
    Schedule.objects.filter(name="digest").update(time_zone="Nowhere", fires_at=timezone.now())
    fire_due()
    listed = main_of(admin.get(f"{PAGES}?state=broken"))
    assert "There is no time zone &#x27;Nowhere&#x27;" in listed
    assert "late" not in listed
    assert "mend it" in main_of(admin.get(f"{PAGES}digest/"))
    assert "Nowhere" in main_of(admin.get(f"{PAGES}digest/edit/"))
    admin.post(f"{PAGES}digest/edit/", DAILY)
    assert Schedule.objects.get(name="digest").broken == ""


def test_that_its_subscription_was_changed_by_hand_is_said(admin: Client) -> None:
    from agents.models import Subscription

    made(admin)
    assert "subscription" not in main_of(admin.get(f"{PAGES}digest/"))
    Subscription.objects.update(state="paused")
    assert "subscription: paused" in main_of(admin.get(PAGES))
    Subscription.objects.all().delete()
    assert "subscription removed" in main_of(admin.get(f"{PAGES}digest/"))
    # Saved once more, it starts its agent again.
    admin.post(f"{PAGES}digest/edit/", DAILY)
    assert Subscription.objects.get().state == "active"


def test_lists_and_logs_have_pages(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.web.timed.PAGE", 1)
    made(admin, name="anna")
    made(admin, name="berta")
    admin.get(f"{PAGES}berta/")  # where it says that both are made
    first = main_of(admin.get(PAGES))
    assert ("anna" in first, "berta" in first) == (True, False)
    second = main_of(admin.get(f"{PAGES}?after=anna"))
    assert ("anna" in second, "berta" in second) == (False, True)
    assert "berta" in main_of(admin.get(f"{PAGES}?find=ert"))
    for key in ("a", "b"):
        admin.post(f"{PAGES}anna/run/", {"key": key})
    older = re.search(r'href="(\?before=\d+)"', main_of(admin.get(f"{PAGES}anna/")))
    assert older
    assert "by hand" in main_of(admin.get(f"{PAGES}anna/{older[1]}"))
    assert admin.get(f"{PAGES}anna/?before=x").status_code == 400


def test_each_role_sees_what_it_may_do(admin: Client, as_: As) -> None:
    made(admin)
    for who, forms in (("viewer", []), ("member", ["run", "pause"]), ("admin", ["run", "pause", "remove"])):
        page = main_of(as_(who).get(f"{PAGES}digest/"))
        assert re.findall(r'action="/w/team/schedules/digest/(\w+)/"', page) == forms
        assert ("digest/edit/" in page) == (who == "admin")
        assert ("new-schedule" in main_of(as_(who).get(PAGES))) == (who == "admin")
    member = as_("member")
    assert member.post(NEW, DAILY).status_code == 403
    assert member.post(f"{PAGES}digest/edit/", DAILY).status_code == 403
    assert member.post(f"{PAGES}digest/remove/").status_code == 403


@pytest.mark.fault(35)
def test_schedules_of_another_workspace_do_not_exist(admin: Client) -> None:
    from agents.models import Schedule
    from agents.services import schedules
    from tests.factories import make_agent, make_workspace

    other = make_workspace("other")
    make_agent(other, "theirs")
    schedules.create_schedule(other, "digest", schedules.Wanted(timing="cron", cron="0 * * * *"), by=None)
    assert "digest" not in main_of(admin.get(PAGES))
    for path in ("", "edit/"):
        assert admin.get(f"{PAGES}digest/{path}").status_code == 404
    for path in ("edit/", "run/", "pause/", "resume/", "remove/"):
        assert admin.post(f"{PAGES}digest/{path}", DAILY).status_code == 404
    # Nor are their agents there to be started.
    assert admin.post(NEW, DAILY | {"agent": "theirs"}).status_code == 422
    assert Schedule.objects.count() == 1
