"""What a run's page says of events: which woke it, what it waits for, and the form that sends it a signal."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.integration.web.conftest import As
from tests.pages import text_of

if TYPE_CHECKING:
    from agents.models import Run, Workspace

pytestmark = pytest.mark.django_db
FORM = {
    "type": "object",
    "properties": {"verdict": {"enum": ["yes", "no"]}, "pieces": {"type": "integer", "minimum": 1}},
    "required": ["verdict"],
}


@pytest.fixture
def waiting(workspace: Workspace) -> Run:
    """A run that waits for an event, as a worker leaves it."""
    from tests.factories import make_run

    run = make_run(workspace, input={"goal": "Wait for the shop"})
    wait_for(run, "shop.answer", match={"path": "kg", "gt": 1}, until=timezone.now() + timedelta(hours=3))
    return run


def wait_for(run: Run, pattern: str, match: Any = None, until: Any = None, **more: Any) -> None:
    from agents.models import Step
    from tests.factories import make_listener

    key, asked = f"wait_event:{pattern}#0", {"name": pattern, "match": match, "until": until, **more}
    now = timezone.now()
    Step.objects.create(
        run=run, key=key, kind="wait_event", name=pattern, status="running", started_at=now, input=asked
    )
    make_listener(run, key, pattern, match)


def address(run: Run) -> str:
    return f"/w/team/runs/{run.pk}/"


def hidden(page: str) -> dict[str, str]:
    card = page.split('data-card="signal:', 1)[1].split("</section>")[0]
    return dict(re.findall(r'type="hidden" name="(wait|key)" value="(\w+)"', card))


def send(client: Client, run: Run, **filled: str) -> str:
    """Send a signal by the first card of the run's page; gives the page after that."""
    given = hidden(text_of(client.get(address(run)))) | filled
    return text_of(client.post(f"{address(run)}signal/", given, follow=True))


def signals(run: Run) -> list[tuple[str, Any]]:
    from agents.models import Event

    return list(Event.objects.filter(to_run=run).order_by("id").values_list("name", "data"))


def test_a_run_that_waits_is_sent_a_signal_and_says_what_woke_it(as_: As, waiting: Run) -> None:
    from agents.services.dispatching import Dispatcher

    client = as_("member")
    page = text_of(client.get(address(waiting)))
    for words in ("Waits for the event <code>shop.answer</code>", "{&quot;path&quot;: &quot;kg&quot;", "in 2 h"):
        assert words in page, words
    given = hidden(page) | {"value": '{"kg": 5}', "name": "another.name"}
    for _ in range(2):
        assert client.post(f"{address(waiting)}signal/", given)["Location"] == address(waiting)
    assert signals(waiting) == [("shop.answer", {"kg": 5})]
    Dispatcher()()
    page = text_of(client.get(address(waiting)))
    assert re.search(r"<dt>Went on with</dt><dd><a href=\"/w/team/events/\d+/\">shop.answer</a>", page)
    assert 'data-card="signal:' not in page
    gone = client.post(f"{address(waiting)}signal/", given, headers={"X-Requested-With": "fetch"}, follow=True)
    assert "does not wait for this any more" in text_of(gone)
    assert len(signals(waiting)) == 1


def test_what_the_run_does_not_wait_for_is_kept_and_said(as_: As, waiting: Run) -> None:
    assert "it is not what the run waits for now" in send(as_("member"), waiting, value='{"kg": 1}')
    assert "it is not what the run waits for now" in send(as_("member"), waiting, value="many\r\nwords")
    assert signals(waiting) == [("shop.answer", {"kg": 1}), ("shop.answer", "many\nwords")]


def test_a_wait_with_a_form_shows_its_fields_and_takes_nothing_else(as_: As, workspace: Workspace) -> None:
    from tests.factories import make_client, make_run, make_token

    run = make_run(workspace)
    wait_for(run, "shop.*", form=FORM)
    client = as_("member")
    page = text_of(client.get(address(run)))
    assert '<option value="yes">yes</option>' in page
    assert 'name="name" value="shop."' in page
    assert "pieces" in send(client, run, name="shop.answer", **{"value-verdict": "yes", "value-pieces": "0"})
    assert "verdict" in send(client, run, name="shop.answer", **{"value-verdict": "perhaps"})
    assert "An event&#x27;s name has" in send(client, run, name="", **{"value-verdict": "yes"})
    api = make_client(make_token(workspace))
    refused = api.post(
        f"/api/v1/runs/{run.pk}/signals/shop.answer", json.dumps({"data": 1}), content_type="application/json"
    )
    assert refused.status_code == 400
    assert "data" in refused.json()["errors"]
    assert signals(run) == []
    send(client, run, name="shop.answer", **{"value-verdict": "yes", "value-pieces": "3"})
    assert signals(run) == [("shop.answer", {"verdict": "yes", "pieces": 3})]


def test_signals_are_for_members_and_their_own_runs(as_: As, waiting: Run) -> None:
    given = hidden(text_of(as_("member").get(address(waiting))))
    assert "<textarea" not in text_of(as_("viewer").get(address(waiting)))
    assert as_("viewer").post(f"{address(waiting)}signal/", given).status_code == 403
    assert as_("stranger").post(f"{address(waiting)}signal/", given).status_code == 404
    assert as_("member").post(f"{address(waiting)}signal/", {"wait": "x"}).status_code == 400
    assert signals(waiting) == []


def test_the_page_says_which_event_started_the_run(as_: As, workspace: Workspace) -> None:
    from agents.models import Event, Run
    from agents.services.dispatching import Dispatcher
    from agents.services.events import emit_event
    from agents.services.subscriptions import Wanted, create_subscription
    from tests.factories import make_agent

    make_agent(workspace, "packer")
    create_subscription(workspace, "nights", Wanted(pattern="schedule.nightly", agent="packer"), by=None)
    event = emit_event(workspace, "schedule.nightly", source="schedule")
    Dispatcher()()
    run = Run.objects.get()
    page = text_of(as_("viewer").get(address(run))).split("Woken by")[1].split("</div>")[0]
    for place in (f"events/{event.pk}", "subscriptions/nights", "schedules/nightly"):
        assert f'href="/w/team/{place}/"' in page, place
    Event.objects.all().delete()
    page = text_of(as_("viewer").get(address(run)))
    assert "the event is not kept any more" in page
    assert "schedule.nightly" in page
