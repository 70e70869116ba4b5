"""The pages of subscriptions: the list, the editor and its messages, trying one on what has come, pausing, removing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.integration.web.conftest import As
from tests.pages import main_of, text_of

if TYPE_CHECKING:
    from agents.models import Agent, Subscription, Workspace

pytestmark = pytest.mark.django_db
PAGES = "/w/team/subscriptions/"
GIVEN = {"name": "orders", "pattern": "order.*", "agent": "packer", "priority": "0", "state": "active"}
GIVEN |= {"overlap": "allow"}
FILLED = {
    **GIVEN,
    "note": "Packs what is paid",
    "filter": '{"path": "kg", "gt": 1}',
    "version": "1",
    "input": "{{ data.order }} is to be packed",
    "priority": "3",
    "key": "data.customer",
    "debounce__seconds": "30",
    "debounce__longest": "90.5",
    "throttle__count": "2",
    "throttle__seconds": "60",
    "overlap": "queue",
}


@pytest.fixture
def agent(workspace: Workspace) -> Agent:
    from tests.factories import make_agent

    return make_agent(workspace, "packer")


@pytest.fixture
def made(as_: As, agent: Agent) -> Subscription:
    """A subscription, made with all that its form has."""
    from agents.models import Subscription

    assert as_("admin").post(f"{PAGES}new/", FILLED)["Location"] == f"{PAGES}orders/"
    return Subscription.objects.get()


def test_a_subscription_is_made_by_a_form_and_said_in_words(as_: As, made: Subscription) -> None:
    assert (made.filter, made.input) == ({"path": "kg", "gt": 1}, "{{ data.order }} is to be packed")
    assert made.flow == {
        "key": "data.customer",
        "debounce": {"seconds": 30, "longest": 90.5},
        "throttle": {"count": 2, "seconds": 60},
        "overlap": "queue",
    }
    page = main_of(as_("viewer").get(f"{PAGES}orders/"))
    for words in ("Waits until none came for 30 s", "One run at a time", "At most 2 runs", "For each", "version 1"):
        assert words.lower() in page.lower()
    assert "<form" not in page


def test_what_is_shown_in_the_editor_is_kept_when_it_is_saved_as_it_stands(as_: As, made: Subscription) -> None:
    from agents.models import Subscription

    client = as_("admin")
    editor = text_of(client.get(f"{PAGES}orders/edit/"))
    shown = dict(re.findall(r'<input type="\w+" name="(\w+)" value="([^"]*)"', editor))
    shown |= {"agent": "packer", "overlap": "queue", "state": "active", "filter": '{"path": "kg", "gt": 1}'}
    shown["input"] = "{{ data.order }} is to be packed"
    before = Subscription.objects.values().get()
    assert client.post(f"{PAGES}orders/edit/", shown).status_code == 302
    after = Subscription.objects.values().get()
    assert {**before, "updated_at": None} == {**after, "updated_at": None}


def test_a_subscription_is_paused_edited_and_removed(as_: As, made: Subscription) -> None:
    client = as_("admin")
    assert "is paused" in text_of(client.post(f"{PAGES}orders/pause/", follow=True))
    assert "paused" in text_of(client.get(PAGES))
    assert "is active" in text_of(client.post(f"{PAGES}orders/activate/", follow=True))
    assert client.post(f"{PAGES}orders/edit/", {**GIVEN, "pattern": "*"}).status_code == 302
    made.refresh_from_db()
    assert (made.pattern, made.filter, made.input, made.flow) == ("*", None, None, {})
    assert client.post(f"{PAGES}orders/remove/")["Location"] == PAGES
    assert client.get(f"{PAGES}orders/").status_code == 404
    assert "No subscription yet" in text_of(client.get(PAGES))


def test_a_new_one_begins_with_the_name_of_the_event_that_led_there(as_: As, agent: Agent) -> None:
    assert 'value="order.paid"' in text_of(as_("admin").get(f"{PAGES}new/?pattern=order.paid"))


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"filter": '{"path": "kg",\n "gt": }'}, "filter", "This is no JSON at line 2, character 8: Expecting value."),
        ({"filter": '{"path": "kg", "over": 1}'}, "filter", "There is no comparison &#x27;over&#x27;"),
        ({"filter": '{"or": [{"path": "kg"}]}'}, "filter", "or.0: Say what the value is compared by"),
        ({"filter": '{"path": "kg", "gt": NaN}'}, "filter", "There is no value NaN"),
        ({"input": '{"goal": "x",}'}, "input", "This is no JSON at line 1"),
        ({"input": "{{ nonsense }}"}, "input", "A path begins with one of"),
        ({"pattern": "order*"}, "pattern", "A pattern is an event&#x27;s name"),
        ({"name": "Has Space"}, "name", "A name begins with a letter"),
        ({"version": "9"}, "version", "packer has no version 9."),
        ({"batch__count": "3"}, "batch__seconds", "This is a number of seconds"),
        ({"rate__seconds": "3", "rate__count": "0"}, "rate__count", "from 1 to 1,000"),
        ({"debounce__seconds": "9", "debounce__longest": "3"}, "debounce__longest", "at least as long"),
        ({"key": "nonsense"}, "key", "A path begins with one of"),
        ({"debounce__seconds": "9", "batch__count": "3", "batch__seconds": "9"}, "batch__count", "not both"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    as_: As, agent: Agent, wrong: dict[str, str], field: str, said: str
) -> None:
    from agents.models import Subscription

    refused = as_("admin").post(f"{PAGES}new/", {**GIVEN, "note": "Kept as typed", **wrong})
    page = text_of(refused)
    assert refused.status_code == 422
    assert not Subscription.objects.exists()
    after = page.split(f'name="{field}"', 1)[1].split("</div>")[0]
    assert f'<p class="error">{said}' in after or said in after.split('class="error"')[1]
    assert "Kept as typed" in page


def test_a_draft_says_what_it_would_have_matched_and_nothing_is_kept(
    as_: As, workspace: Workspace, agent: Agent
) -> None:
    from agents.models import Run, Subscription
    from agents.services.events import emit_event

    for kg in (1, 5, 9):
        emit_event(workspace, "order.paid", {"kg": kg})
    client = as_("admin")
    tried = {**GIVEN, "name": "", "filter": '{"path": "kg", "gt": 1}', "input": "Pack {{ data.kg }}", "try": "1"}
    part = client.post(f"{PAGES}new/", tried, headers={"HX-Target": "trial", "HX-Request": "true"})
    assert "2 would have matched" in text_of(part)
    assert "last 3 events" in text_of(part)
    assert text_of(part).index("Pack 9") < text_of(part).index("Pack 5")
    assert "<html" not in text_of(part)
    # Without scripts it is the whole page, as it was filled in.
    page = text_of(client.post(f"{PAGES}new/", tried))
    assert "2 would have matched" in page
    assert "Pack {{ data.kg }}</textarea>" in page
    wrong = client.post(f"{PAGES}new/", {**tried, "filter": "{"}, headers={"HX-Target": "trial", "HX-Request": "true"})
    assert wrong.status_code == 200
    assert "Only if the data is like this: This is no JSON" in text_of(wrong)
    assert not Subscription.objects.exists()
    assert not Run.objects.exists()


def test_the_list_says_how_much_was_matched_and_when(
    as_: As, workspace: Workspace, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agents.services.dispatching import Dispatcher
    from agents.services.events import emit_event
    from agents.services.subscriptions import Wanted, create_subscription

    for name in ("orders", "others", "packing"):
        create_subscription(workspace, name, Wanted(pattern=f"{name[:5]}.*", agent="packer"), by=None)
    for _ in range(3):
        emit_event(workspace, "order.paid", {"kg": 1})
    Dispatcher()()
    client = as_("viewer")
    row = text_of(client.get(PAGES)).split("orders</strong>")[1].split("</tr>")[0]
    assert '<td class="num" data-name="Matched">3</td>' in row
    assert "<time" in row
    page = text_of(client.get(f"{PAGES}orders/"))
    assert "started 3" in page
    assert page.count("order.paid</strong>") == 3
    monkeypatch.setattr("agents.web.queries.PAGE", 1)
    assert "?older=" in text_of(client.get(f"{PAGES}orders/"))
    assert "others</strong>" in text_of(client.get(f"{PAGES}?after=orders"))
    found = text_of(client.get(f"{PAGES}?q=pack"))
    assert "?after=orders" in found.replace("q=pack&amp;", "")
    assert "packing</strong>" in text_of(client.get(f"{PAGES}?q=packi"))


def test_subscriptions_are_for_administrators_of_their_workspace(as_: As, workspace: Workspace, agent: Agent) -> None:
    from agents.models import Subscription
    from agents.services.subscriptions import Wanted, create_subscription
    from tests.factories import make_agent, make_workspace

    create_subscription(workspace, "orders", Wanted(pattern="*", agent="packer"), by=None)
    elsewhere = make_workspace()
    make_agent(elsewhere, "theirs")
    create_subscription(elsewhere, "theirs", Wanted(pattern="*", agent="theirs"), by=None)
    for path in ("edit/", "pause/", "activate/", "remove/"):
        assert as_("member").post(f"{PAGES}orders/{path}", GIVEN).status_code == 403
        assert as_("admin").post(f"{PAGES}theirs/{path}", GIVEN).status_code == 404
    assert as_("member").get(f"{PAGES}new/").status_code == 403
    assert "theirs" not in text_of(as_("admin").get(PAGES))
    wrong = as_("admin").post(f"{PAGES}new/", {**GIVEN, "name": "mine", "agent": "theirs"})
    assert wrong.status_code == 422
    assert Subscription.objects.count() == 2
