"""The pages of watchers: a form for each kind, what they know, how their looks went, what they told of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.test import override_settings
from django.utils import timezone

from agents.triggers.looks.base import Change, Look
from tests.pages import main_of, text_of

if TYPE_CHECKING:
    from django.test import Client

    from agents.models import Watcher, Workspace
    from tests.integration.web.conftest import As

pytestmark = pytest.mark.django_db
PAGES = "/w/team/watchers/"
NEW = "/w/team/new-watcher/"
TIMED = {"timing": "interval", "every": "15", "unit": "60", "overlap": "queue"}
FEED = {**TIMED, "kind": "feed", "name": "news", "url": "https://example.org/feed", "agent": "helper"}
PLACES = {
    "FOLDERS": {"in": {"path": "/srv/in"}, "foreign": {"path": "/srv/x", "workspaces": ["other"]}},
    "SQL_CONNECTIONS": {
        "shop": {"url": "sqlite:////srv/shop"},
        "theirs": {"url": "sqlite:///x", "workspaces": ["other"]},
    },
}


@pytest.fixture
def workspace(db: None) -> Workspace:
    from tests.factories import make_agent, make_workspace

    made = make_workspace(slug="team")
    make_agent(made, "helper")
    return made


@pytest.fixture
def admin(as_: As) -> Client:
    return as_("admin")


def made(admin: Client, **changes: str) -> Watcher:
    from agents.models import Watcher

    answer = admin.post(NEW, FEED | changes)
    assert answer.status_code == 302, text_of(answer)
    return Watcher.objects.get(name=(FEED | changes)["name"])


def saw(look: Look | str) -> None:
    """Let the watchers that are due look, and see this; a text is why that failed."""
    from agents.services.watching import keep_failure, keep_look, take_due

    for task in take_due(10)[0]:
        if isinstance(look, str):
            keep_failure(task, look)
        else:
            keep_look(task, look)


@override_settings(**PLACES)
def test_each_kind_has_its_fields(admin: Client) -> None:
    from agents.models import Watcher

    kinds = main_of(admin.get(NEW))
    assert re.findall(r'href="\?kind=(\w+)"', kinds) == ["url", "feed", "folder", "sql"]
    assert "foreign" not in kinds
    assert "theirs" not in kinds
    targets = {
        "url": {"url": "https://example.org", "selector": ".price"},
        "feed": {"url": "https://example.org/feed"},
        "folder": {"folder": "in", "pattern": "*.csv"},
        "sql": {"connection": "shop", "sql": "SELECT 1\r\nORDER BY 1"},
    }
    for kind, target in targets.items():
        fields = re.findall(r'name="(\w+)"', main_of(admin.get(f"{NEW}?kind={kind}")))
        assert '<option value="queue" selected>' in main_of(admin.get(f"{NEW}?kind={kind}"))
        assert set(fields) & {"url", "selector", "folder", "pattern", "connection", "sql"} == set(target)
        assert admin.post(NEW, {**TIMED, "kind": kind, "name": f"of-{kind}", **target}).status_code == 302
        kept = Watcher.objects.get(name=f"of-{kind}")
        assert (kept.kind, kept.target) == (kind, {name: text.replace("\r", "") for name, text in target.items()})
        edited = main_of(admin.get(f"{PAGES}of-{kind}/edit/"))
        for text in target.values():
            assert text.replace("\r", "") in edited
        assert "Where and when it looks" in main_of(admin.get(f"{PAGES}of-{kind}/"))
    listed = main_of(admin.get(PAGES))
    for words in (
        "folder <code>in</code>, <code>*.csv</code>",
        "database <code>shop</code>",
        ".price",
        "every 15 minutes",
    ):
        assert words in listed
    for address in (admin.get(f"{NEW}?kind=smell"), admin.post(NEW, {**FEED, "kind": "smell"})):
        assert address.status_code == 400


@override_settings(**PLACES)
@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"url": "file:///etc/passwd"}, "url", "http"),
        ({"url": ""}, "url", "required"),
        ({"kind": "url", "selector": "a[["}, "selector", "selector"),
        ({"kind": "folder", "folder": "foreign"}, "folder", "foreign is not one of the available choices"),
        ({"kind": "sql", "connection": "shop", "sql": "DROP TABLE x"}, "sql", "SELECT"),
        ({"every": "9", "unit": "1"}, "every", "every 10 seconds at most"),
        ({"timing": "cron", "cron": "* * * * * *"}, "cron", "five fields: no seconds"),
    ],
)
def test_what_can_not_be_watched_is_said_beside_its_field(
    admin: Client, change: dict[str, str], field: str, says: str
) -> None:
    from agents.models import Watcher

    answer = admin.post(NEW, FEED | change)
    assert answer.status_code == 422
    wrong = re.findall(r'<div class="field field-wrong">(.*?)</div>', main_of(answer), re.DOTALL)
    assert len(wrong) == 1, main_of(answer)
    assert f'name="{field}"' in wrong[0]
    assert says in wrong[0]
    assert not Watcher.objects.exists()


def test_what_it_saw_and_told_is_shown(admin: Client, as_: As) -> None:
    from agents.models import Event, Run
    from agents.services.dispatching import Dispatcher

    made(admin)
    assert "the first only learns what is there" in main_of(admin.get(f"{PAGES}news/"))
    saw(Look({"seen": ["a", "b"], "etag": '"e1"'}))
    page = main_of(as_("viewer").get(f"{PAGES}news/"))
    assert "Nothing has changed yet." in page
    assert re.search(r"Entries that it knows</dt><dd>2<", page)
    assert "&quot;e1&quot;" in page
    assert "hx-trigger" not in page, "nothing is about to happen"
    member = as_("member")
    assert "A worker looks in a moment" in text_of(member.post(f"{PAGES}news/look/", follow=True))
    part = text_of(member.get(f"{PAGES}news/", headers={"HX-Target": "watched"}))
    assert 'hx-trigger="every 2s"' in part
    assert "<html" not in part
    saw(Look({"seen": ["a", "b", "c"]}, (Change({"feed": "News", "entry": {"id": "c"}}, "c"),)))
    Dispatcher()()
    event, run = Event.objects.get(), Run.objects.get()
    page = main_of(member.get(f"{PAGES}news/"))
    assert f"/w/team/events/{event.pk}/" in page
    assert f"/w/team/runs/{run.pk}/" in page


def test_why_looks_fail_and_until_when_it_waits(admin: Client) -> None:
    from agents.models import Watcher

    made(admin)
    for number in range(3):
        Watcher.objects.update(fires_at=timezone.now())
        saw(f"The host answered 503, {number}.")
    page = main_of(admin.get(f"{PAGES}news/"))
    for words in ("Failing", "The host answered 503, 2.", "3 looks in a row failed", "six hours at most"):
        assert words in page
    assert "The host answered 503, 2." in main_of(admin.get(f"{PAGES}?state=failing"))
    assert "No watcher fits" in main_of(admin.get(f"{PAGES}?state=broken"))
    # Looked at by somebody at this moment, it can't be told to look.
    Watcher.objects.update(fires_at=timezone.now())
    from agents.services.watching import take_due

    take_due(10)
    assert "is being looked at already" in text_of(admin.post(f"{PAGES}news/look/", follow=True))
    assert "Looking" in main_of(admin.get(PAGES))


def test_it_is_changed_paused_and_removed(admin: Client) -> None:
    from agents.models import Watcher

    watcher = made(admin, input="Read {{ data.entry.link }}")
    assert watcher.input == {"goal": "Read {{ data.entry.link }}"}
    saw(Look({"seen": ["a"]}))
    preview = admin.post(f"{PAGES}news/edit/", FEED | {"every": "5", "preview": "1"}, headers={"HX-Target": "preview"})
    assert "every 5 minutes" in text_of(preview)
    assert "is changed" in text_of(admin.post(f"{PAGES}news/edit/", FEED | {"every": "30"}, follow=True))
    changed = Watcher.objects.get()
    assert (changed.seconds, changed.state, changed.kind) == (1800, {"seen": ["a"]}, "feed")
    assert "is paused." in text_of(admin.post(f"{PAGES}news/pause/", follow=True))
    assert "is paused already" in text_of(admin.post(f"{PAGES}news/pause/", follow=True))
    assert "goes on" in text_of(admin.post(f"{PAGES}news/resume/", follow=True))
    assert admin.post(f"{PAGES}news/remove/").status_code == 302
    assert not Watcher.objects.exists()


@pytest.mark.fault(35)
def test_each_role_sees_its_own_and_strangers_nothing(admin: Client, as_: As) -> None:
    from agents.models import Watcher

    made(admin)
    for who, forms in (("viewer", []), ("member", ["look", "pause"]), ("admin", ["look", "pause", "remove"])):
        page = main_of(as_(who).get(f"{PAGES}news/"))
        assert re.findall(r'action="/w/team/watchers/news/(\w+)/"', page) == forms
        assert ("news/edit/" in page) == (who == "admin")
    member = as_("member")
    assert member.get(f"{NEW}?kind=url").status_code == 403
    assert member.post(f"{PAGES}news/edit/", FEED).status_code == 403
    from tests.factories import make_workspace

    Watcher.objects.update(workspace=make_workspace("other"))
    admin.get("/w/team/")  # where it says that it is made
    assert "news" not in main_of(admin.get(PAGES))
    for path in ("", "edit/"):
        assert admin.get(f"{PAGES}news/{path}").status_code == 404
    for path in ("edit/", "look/", "pause/", "resume/", "remove/"):
        assert admin.post(f"{PAGES}news/{path}", FEED).status_code == 404
    assert Watcher.objects.get().paused_at is None
