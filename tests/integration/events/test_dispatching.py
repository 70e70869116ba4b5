"""Events meet subscriptions: which runs they start, once each, and what is said of those that start none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.engine.beside import Round
from agents.models import (
    Agent,
    AgentVersion,
    Event,
    Match,
    Run,
    RunEvent,
    Subscription,
    SubscriptionState,
    Workspace,
)
from agents.services import event_log, launching
from agents.services.dispatching import Dispatcher
from agents.services.events import NewEvent, emit_event, emit_events, send_signal
from agents.services.lines import LOCK_CLASS
from tests.driving import as_rival, log_of
from tests.factories import make_run, make_workspace

pytestmark = pytest.mark.django_db

Subscribe = Callable[..., Subscription]
Dispatch = Callable[[], Round]


def test_an_event_starts_the_agents_of_the_subscriptions_that_it_fits(
    workspace: Workspace, subscribe: Subscribe, dispatch: Dispatch
) -> None:
    subscribe("all", pattern="*", input={"goal": "Look at {{ name }}"}, priority=3)
    subscribe("dear", pattern="order.paid", filter={"path": "amount", "gte": 100}, input={"n": "{{ data.amount }}"})
    subscribe("cheap", filter={"path": "amount", "lt": 100})
    subscribe("others", pattern="user.*")
    event = emit_event(workspace, "order.paid", {"amount": 250}, source="shop")

    done = dispatch()

    assert done.has_started_runs
    assert log_of(event) == [("all", "started", ""), ("dear", "started", "")]
    by_name = {match.name: match.run for match in Match.objects.select_related("run")}
    everything, dear = by_name["all"], by_name["dear"]
    assert everything is not None
    assert dear is not None
    assert (everything.input, everything.priority, everything.source) == ({"goal": "Look at order.paid"}, 3, "event")
    assert dear.input == {"n": 250}
    assert everything.status == "queued"
    told = RunEvent.objects.get(run=everything, number=1).data
    assert (told["event"], told["event_name"], told["subscription"]) == (event.pk, "order.paid", "all")
    event.refresh_from_db()
    assert event.dispatched_at is not None


def test_without_a_template_the_run_is_given_the_event(
    workspace: Workspace, subscribe: Subscribe, dispatch: Dispatch
) -> None:
    subscribe()
    event = emit_event(workspace, "order.paid", {"n": 1}, source="shop", event_id="e1", attributes={"subject": "s"})

    dispatch()

    given = Run.objects.get().input
    assert given["goal"] == "Handle the event order.paid."
    assert given["event"]["data"] == {"n": 1}
    assert (given["event"]["id"], given["event"]["event_id"]) == (event.pk, "e1")
    assert given["event"]["attributes"] == {"subject": "s"}


@pytest.mark.fault(28)
def test_the_same_event_starts_one_run_however_often_it_is_told_of_and_dispatched(
    workspace: Workspace, subscribe: Subscribe, dispatch: Dispatch
) -> None:
    subscribe()
    for _ in range(3):
        emit_event(workspace, "order.paid", source="shop", event_id="e1")
        dispatch()
        dispatch()

    assert Run.objects.count() == 1
    # Also should an event be dispatched again that was dispatched: the pair is unique.
    Event.objects.update(dispatched_at=None)
    dispatch()
    assert Run.objects.count() == 1


def test_paused_ones_and_drafts_start_nothing_nor_do_other_workspaces(
    workspace: Workspace, subscribe: Subscribe, dispatch: Dispatch
) -> None:
    subscribe("paused", state=SubscriptionState.PAUSED)
    subscribe("draft", state=SubscriptionState.DRAFT)
    subscribe("here")
    elsewhere = emit_event(make_workspace(), "order.paid")

    dispatch()

    assert not Run.objects.exists()
    elsewhere.refresh_from_db()
    assert elsewhere.dispatched_at is not None


def test_a_run_that_strangers_words_start_is_tainted_from_its_first_step(
    workspace: Workspace, subscribe: Subscribe, dispatch: Dispatch
) -> None:
    subscribe()
    emit_event(workspace, "order.paid", tainted=True)
    emit_event(workspace, "order.sent")

    dispatch()

    assert sorted(Run.objects.values_list("tainted", flat=True)) == [False, True]


def test_a_pinned_version_is_the_one_that_is_started(
    workspace: Workspace, agent: Agent, subscribe: Subscribe, dispatch: Dispatch
) -> None:
    subscribe("pinned", version=1)
    subscribe("current")
    agent.current = AgentVersion.objects.create(agent=agent, number=2, workflow="react")
    agent.save()
    emit_event(workspace, "order.paid")

    dispatch()

    numbers = {match.name: match.run.agent_version.number for match in Match.objects.all() if match.run}  # type: ignore[union-attr]
    assert numbers == {"pinned": 1, "current": 2}


def test_events_are_dispatched_in_their_order(workspace: Workspace, subscribe: Subscribe, dispatch: Dispatch) -> None:
    subscribe(input={"goal": "{{ data }}"})
    emit_events(workspace, [NewEvent(name="order.paid", data=str(number)) for number in range(120)])

    dispatch()

    assert [run.input["goal"] for run in Run.objects.order_by("rank")] == [str(number) for number in range(120)]


def test_a_chain_of_events_comes_to_an_end(workspace: Workspace, subscribe: Subscribe, dispatch: Dispatch) -> None:
    subscribe()
    emit_event(workspace, "order.paid")
    for _ in range(20):
        dispatch()
        newest = Run.objects.filter(source="event").order_by("-pk").first()
        # From a sub-run of the run that was started: the chain counts by the run at the top.
        below = make_run(workspace, parent=newest, root=newest)
        emit_event(workspace, "order.paid", cause=below)

    started = Run.objects.filter(source="event").count()
    assert started == launching.MAX_CHAIN + 1
    skipped = Match.objects.filter(status="skipped")
    assert skipped.exists()
    assert "chain" in skipped[0].reason


def test_a_signal_starts_nothing(workspace: Workspace, subscribe: Subscribe, dispatch: Dispatch) -> None:
    subscribe("all", pattern="*")
    send_signal(make_run(workspace), "order.paid")

    dispatch()

    assert not Match.objects.exists()
    assert not Event.objects.filter(dispatched_at=None).exists()


def test_an_event_that_nobody_wants_costs_the_same_however_many_want_others(workspace: Workspace, agent: Agent) -> None:
    def cost() -> int:
        emit_event(workspace, "nobody.wants.this")
        with CaptureQueriesContext(connection) as asked:
            Dispatcher()()
        return len(asked)

    cost()
    before = cost()
    Subscription.objects.bulk_create(
        Subscription(workspace=workspace, name=f"s{n}", pattern=f"other.{n}", agent=agent, state="active")
        for n in range(10_000)
    )
    assert cost() == before


@pytest.mark.django_db(transaction=True)
def test_a_workspace_whose_events_another_worker_dispatches_is_left_to_it(
    workspace: Workspace, subscribe: Subscribe, dispatch: Dispatch
) -> None:
    if connection.vendor == "sqlite":
        # One writes at a time there.
        return
    other = make_workspace()
    subscribe()
    emit_event(workspace, "order.paid")
    abroad = emit_event(other, "order.paid")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK_CLASS, workspace.pk])
        as_rival(Dispatcher())
        assert not Run.objects.exists()
        abroad.refresh_from_db()
        assert abroad.dispatched_at is not None
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_CLASS, workspace.pk])
    dispatch()
    assert Run.objects.count() == 1


def test_old_events_are_forgotten_but_for_those_that_are_held(
    workspace: Workspace, subscribe: Subscribe, dispatch: Dispatch
) -> None:
    subscribe("now", pattern="order.paid")
    subscribe("later", pattern="order.held", flow={"debounce": {"seconds": 600}})
    for name in ("order.paid", "order.held"):
        replayed = emit_event(workspace, name)
    dispatch()
    waiting = emit_event(workspace, "order.paid")
    event_log.replay_event(replayed, by=None)
    Event.objects.update(received_at=timezone.now() - timedelta(days=40))

    gone = event_log.forget_events(timezone.now() - timedelta(days=30))

    assert gone == 1
    assert Event.objects.filter(pk=waiting.pk).exists()
    assert Event.objects.filter(pk=replayed.pk).exists()
    assert Match.objects.get().status == "held"
