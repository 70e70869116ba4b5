"""The pages of events: the list and its filters, the delivery log, telling of one by hand, telling of them again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.integration.web.conftest import As
from tests.pages import text_of

if TYPE_CHECKING:
    from agents.models import Event, Workspace

pytestmark = pytest.mark.django_db
PAGES = "/w/team/events/"


@pytest.fixture
def dispatch(workspace: Workspace) -> Callable[[], object]:
    """Subscribe an agent to what is packed, and dispatch as a worker does."""
    from agents.services.dispatching import Dispatcher
    from agents.services.subscriptions import Wanted, create_subscription
    from tests.factories import make_agent

    make_agent(workspace, "packer")
    heavy = Wanted(pattern="order.*", agent="packer", filter={"path": "kg", "gt": 1}, input={"goal": "Pack it"})
    create_subscription(workspace, "heavy", heavy, by=None)
    return Dispatcher()


def tell(workspace: Workspace, name: str, data: Any = None, **more: Any) -> Event:
    from agents.services.events import emit_event

    return emit_event(workspace, name, data, **more)


def shown(client: Client, query: str = "") -> list[str]:
    """The names of the events that the list shows."""
    return re.findall(r"<strong>([^<]+)</strong>", text_of(client.get(f"{PAGES}{query}")))


def key_in(page: str) -> str:
    found = re.search(r'name="key" value="(\w+)"', page)
    assert found, page
    return found[1]


def test_the_list_is_filtered_and_has_pages(
    as_: As, workspace: Workspace, dispatch: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from agents.models import Event
    from tests.factories import make_workspace

    client = as_("viewer")
    assert "Nothing has happened yet" in text_of(client.get(PAGES))
    tell(workspace, "order.paid", {"kg": 5}, source="shop", event_id="e-1")
    tell(workspace, "order.sent", {"kg": 1}, source="shop")
    dispatch()
    last = tell(workspace, "ordering", source="till")
    Event.objects.filter(pk=last.pk).update(received_at=timezone.now() - timedelta(days=3))
    tell(make_workspace(), "order.elsewhere")

    assert shown(client) == ["ordering", "order.sent", "order.paid"]
    for query, names in (
        ("?name=order.*", ["order.sent", "order.paid"]),
        ("?source=till", ["ordering"]),
        ("?id=e-1", ["order.paid"]),
        (f"?id={last.pk}", ["ordering"]),
        ("?state=started", ["order.paid"]),
        ("?state=unmatched", ["order.sent"]),
        ("?state=waiting", ["ordering"]),
        (f"?before={timezone.now() - timedelta(days=1):%Y-%m-%dT%H:%M}", ["ordering"]),
        ("?name=user.new", []),
    ):
        assert shown(client, query) == names, query
    wrong = client.get(f"{PAGES}?name=a*b", headers={"HX-Target": "events-list"})
    assert "A pattern is an event&#x27;s name" in text_of(wrong)
    assert "<html" not in text_of(wrong)

    monkeypatch.setattr("agents.web.queries.PAGE", 2)
    page = text_of(client.get(f"{PAGES}?name="))
    older = re.search(r'href="/w/team/events/(\?[^"]*older=\d+)"', page)
    assert older
    assert shown(client, older[1].replace("&amp;", "&")) == ["order.paid"]


def test_the_delivery_log_says_what_came_of_an_event_and_replays_it_once(
    as_: As, workspace: Workspace, dispatch: Callable[[], object]
) -> None:
    from agents.models import Event, Match, Run
    from tests.factories import make_listener, make_run

    waiting = make_run(workspace, input={"goal": "Wait for it"})
    make_listener(waiting, "wait_event:order.paid#0", "order.paid")
    event = tell(workspace, "order.paid", {"kg": 5, "note": "<b>soon</b>"}, source="schedule", tainted=True)
    client = as_("member")
    page = text_of(client.get(f"{PAGES}{event.pk}/"))
    assert "Not dispatched yet" in page
    assert "every 2s" in page
    assert "&lt;b&gt;soon&lt;/b&gt;" in page

    dispatch()
    part = text_of(client.get(f"{PAGES}{event.pk}/", headers={"HX-Target": "event-log"}))
    run = Run.objects.get(source="event")
    assert "<html" not in part
    for words in ("heavy", f"/w/team/runs/{run.pk}/", "Pack it", "a run that waited for it", "Wait for it"):
        assert words in part
    again = {"key": key_in(page)}
    first, second = (client.post(f"{PAGES}{event.pk}/replay/", again) for _ in range(2))
    assert first["Location"] == second["Location"]
    dispatch()
    assert Match.objects.filter(status="started").count() == 2
    replayed = text_of(client.get(first["Location"]))
    assert f'Replay of</dt><dd><a href="{PAGES}{event.pk}/"' in replayed
    assert "Replayed as" in text_of(client.get(f"{PAGES}{event.pk}/"))
    assert Event.objects.filter(replay_of=event).count() == 1

    assert as_("viewer").post(f"{PAGES}{event.pk}/replay/").status_code == 403
    assert "Replay" not in text_of(as_("viewer").get(f"{PAGES}{event.pk}/")).split('id="main"')[1].split("<dl")[0]


def test_what_was_skipped_says_why(as_: As, workspace: Workspace, dispatch: Callable[[], object]) -> None:
    from agents.services.subscriptions import Wanted, create_subscription

    once = Wanted(pattern="order.paid", agent="packer", flow={"rate": {"count": 1, "seconds": 60}})
    create_subscription(workspace, "once", once, by=None)
    tell(workspace, "order.paid")
    event = tell(workspace, "order.paid")
    dispatch()
    page = text_of(as_("viewer").get(f"{PAGES}{event.pk}/"))
    assert "the rate is 1 in 60 s" in page
    assert "skipped" in text_of(as_("viewer").get(PAGES))


def test_who_is_subscribed_but_took_nothing_says_why(
    as_: As, workspace: Workspace, dispatch: Callable[[], object]
) -> None:
    from agents.models import Subscription
    from agents.services.subscriptions import Wanted, create_subscription
    from tests.factories import make_client, make_token, make_user

    misled = Wanted(pattern="order.*", agent="packer", filter={"path": "data.kg", "gt": 1})
    create_subscription(workspace, "misled", misled, by=None)
    create_subscription(workspace, "paused", Wanted(pattern="order.paid", agent="packer"), by=None)
    create_subscription(workspace, "elsewhere", Wanted(pattern="parcel.*", agent="packer"), by=None)
    Subscription.objects.filter(name="paused").update(state="paused")
    event = tell(workspace, "order.paid", {"kg": 1})
    api = make_client(make_token(workspace, make_user(workspace)))
    # They may still take it.
    assert api.get(f"/api/v1/events/{event.pk}").json()["near_misses"] == []
    assert "the data has no data.kg" not in text_of(as_("viewer").get(f"{PAGES}{event.pk}/"))
    dispatch()
    create_subscription(workspace, "late", Wanted(pattern="order.paid", agent="packer"), by=None)
    assert "the data has no data.kg" in text_of(as_("viewer").get(f"{PAGES}{event.pk}/"))
    told = api.get(f"/api/v1/events/{event.pk}").json()
    reasons = {miss["subscription"]: miss["reason"] for miss in told["near_misses"]}
    assert reasons == {
        "heavy": "kg is 1: gt 1 does not hold",
        "late": "it was not there yet, or not like this, when the event was dispatched",
        "misled": "the data has no data.kg",
        "paused": "it is paused",
    }


def test_an_event_of_another_workspace_does_not_exist(as_: As) -> None:
    from tests.factories import make_workspace

    event = tell(make_workspace(), "order.paid")
    for path in ("", "replay/"):
        assert as_("admin").post(f"{PAGES}{event.pk}/{path}").status_code in (404, 405)
    assert as_("admin").get(f"{PAGES}{event.pk}/").status_code == 404


def test_members_tell_of_events_by_hand(as_: As, workspace: Workspace) -> None:
    from agents.models import Event

    client = as_("member")
    form = client.get(f"{PAGES}send/?name=order.paid")
    assert 'value="order.paid"' in text_of(form)
    given = {"name": "order.paid", "said": json.dumps({"kg": 2}), "source": "me", "key": key_in(text_of(form))}
    for _ in range(2):
        told = client.post(f"{PAGES}send/", given)
        assert told["Location"] == f"{PAGES}{Event.objects.get().pk}/"
    event = Event.objects.get()
    assert (event.name, event.data, event.source, event.tainted) == ("order.paid", {"kg": 2}, "me", False)
    for wrong, said in (
        ({"name": "order paid"}, "no spaces"),
        ({"name": "run.failed"}, "are of agentsite&#x27;s own events"),
        ({"source": "agentsite"}, "is agentsite itself"),
        ({"said": '{"kg": 2,}'}, "This is no JSON at line 1, character "),
        ({"said": "[NaN]"}, "There is no value NaN"),
        ({"said": '"\\ud800"'}, ""),
    ):
        refused = client.post(f"{PAGES}send/", {**given, "key": "", **wrong})
        assert refused.status_code == (422 if said else 302), wrong
        assert said in text_of(refused)
    assert as_("viewer").get(f"{PAGES}send/").status_code == 403


def test_a_range_is_replayed_after_a_look_at_how_many(
    as_: As, workspace: Workspace, dispatch: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from agents.models import Event
    from tests.factories import make_run

    first = tell(workspace, "order.paid", {"kg": 5})
    tell(workspace, "order.sent", {"kg": 0})
    tell(workspace, "user.new")
    tell(workspace, "order.signal", to_run=make_run(workspace))
    dispatch()
    client = as_("member")
    since = f"{timezone.now() - timedelta(hours=1):%Y-%m-%dT%H:%M}"
    page = text_of(client.get(f"{PAGES}replay/?name=order.*&after={since}"))
    assert "2 events would be told of once more" in page
    assert "order.paid × 1" in page
    assert Event.objects.count() == 4
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
    # What comes after the look is not meant.
    tell(workspace, "order.late")
    for _ in range(2):
        done = client.post(f"{PAGES}replay/", hidden, follow=True)
        assert "2 told of once more" in text_of(done)
    replays = Event.objects.filter(replay_of__isnull=False).order_by("id")
    assert list(replays.values_list("name", flat=True)) == ["order.paid", "order.sent"]
    assert replays[0].replay_of_id == first.pk

    only = text_of(client.get(f"{PAGES}replay/?state=started&after={since}"))
    assert "1 event would be told of once more" in only
    assert "Nothing fits" in text_of(client.get(f"{PAGES}replay/?name=nothing&after={since}"))
    monkeypatch.setattr("agents.services.event_log.MAX_REPLAYED", 1)
    refused = client.get(f"{PAGES}replay/?after={since}")
    assert refused.status_code == 422
    assert "choose a narrower range" in text_of(refused)
    assert as_("viewer").get(f"{PAGES}replay/").status_code == 403
