"""Events meet subscriptions: which runs they start, once each, and what is said of those that start none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.engine.beside import Round
from agents.models import (
    Agent,
    AgentVersion,
    Event,
    Flow,
    Listener,
    Match,
    Run,
    RunEvent,
    Subscription,
    SubscriptionState,
    WebhookEndpoint,
    Workspace,
)
from agents.services import dispatching, event_log, launching
from agents.services.dispatching import Dispatcher
from agents.services.events import NewEvent, emit_event, emit_events, send_signal
from agents.services.lines import LOCK_CLASS, skip_left_behind
from agents.services.subscriptions import Wanted, change_subscription
from agents.triggers import inputs, outbox
from tests.driving import as_rival
from tests.factories import make_agent, make_run, make_webhooks, make_workspace

pytestmark = pytest.mark.django_db

Subscribe = Callable[..., Subscription]
Dispatch = Callable[[], Round]


def log_of(event: Event) -> list[tuple[str, str, str]]:
    """Give the delivery log: subscription, status, reason."""
    return list(Match.objects.filter(event=event).order_by("name").values_list("name", "status", "reason"))


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


def test_that_no_run_can_be_started_is_noted_and_harms_no_other(
    workspace: Workspace, agent: Agent, subscribe: Subscribe, dispatch: Dispatch
) -> None:
    strict = make_agent(workspace, "strict", input_schema={"type": "object", "required": ["order"]})
    gone = make_agent(workspace, "gone")
    subscribe("a-strict", agent=strict.name, input={"text": "x"})
    subscribe("b-gone", agent=gone.name)
    subscribe("c-fine")
    Agent.objects.filter(pk=gone.pk).update(current=None)
    event = emit_event(workspace, "order.paid")

    dispatch()

    noted = log_of(event)
    assert [status for _, status, _ in noted] == ["failed", "failed", "started"]
    assert "order" in noted[0][2]
    assert "no published version" in noted[1][2]


def test_a_fault_of_ours_at_one_subscription_harms_no_other(
    workspace: Workspace, subscribe: Subscribe, dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe("bad", input={"goal": "bad"})
    subscribe("good", input={"goal": "good"})

    def faulty(template: Any, views: Any) -> Any:
        if template["goal"] == "bad":
            raise RuntimeError("a fault")
        return inputs.make_input(template, views)

    monkeypatch.setattr(launching, "make_input", faulty)
    event = emit_event(workspace, "order.paid")

    dispatch()

    assert [status for _, status, _ in log_of(event)] == ["failed", "started"]


def test_what_is_broken_in_the_tables_says_so_and_harms_no_other(
    workspace: Workspace, agent: Agent, subscribe: Subscribe, dispatch: Dispatch
) -> None:
    subscribe("a-filter")
    subscribe("b-flow")
    held = subscribe("c-held", flow={"debounce": {"seconds": 600}})
    archived = subscribe("d-archived", agent=make_agent(workspace, "archived").name)
    subscribe("e-fine")
    subscribe("f-held", flow={"overlap": "queue"})
    listener = Listener.objects.create(workspace=workspace, run=make_run(workspace), key="k", pattern="*")
    shop = make_webhooks(workspace, "shop").endpoint
    emit_event(workspace, "order.first")
    dispatch()
    # Nobody's form takes these; a hand in the table may.
    Subscription.objects.filter(name="a-filter").update(filter={"path": "x", "sounds_like": 1})
    Subscription.objects.filter(name="b-flow").update(flow={"overlap": "perhaps"})
    Subscription.objects.filter(pk=held.pk).update(flow={"debounce": "soon"})
    Agent.objects.filter(pk=archived.agent_id).update(archived_at=timezone.now())
    Listener.objects.filter(pk=listener.pk).update(filter=7)
    WebhookEndpoint.objects.filter(pk=shop.pk).update(filter=[7])
    Flow.objects.update(due_at=timezone.now())
    other = make_workspace()
    event, elsewhere = emit_event(workspace, "order.paid"), emit_event(other, "order.paid")

    dispatch()

    noted = log_of(event)
    assert [status for _, status, _ in noted] == ["failed", "failed", "failed", "failed", "started", "held"]
    assert noted[0][2] == launching.FAULT
    assert noted[1][2].startswith("its flow control: overlap: Choose one of")
    assert "no published version" in noted[3][2]
    assert Match.objects.get(subscription=held, status="held").reason.startswith("held; its flow control: debounce: ")
    assert not Flow.objects.filter(subscription=held, due_at__isnull=False).exists()
    shop.refresh_from_db()
    assert shop.disabled == "its condition can't be applied"
    for one in (event, elsewhere):
        one.refresh_from_db()
        assert one.dispatched_at is not None
    # Once it is mended, what was held goes on.
    change_subscription(held, Wanted(pattern="order.*", agent=agent.name, flow={"overlap": "queue"}), by=None)
    dispatch()
    assert not Match.objects.filter(subscription=held, status="held").exists()


def test_what_an_agent_takes_with_it_is_held_no_more(
    workspace: Workspace, subscribe: Subscribe, dispatch: Dispatch
) -> None:
    going = make_agent(workspace, "going")
    subscribe("held", agent=going.name, flow={"debounce": {"seconds": 600}})
    subscribe("stays")
    event = emit_event(workspace, "order.paid")
    dispatch()
    with connection.constraint_checks_disabled():
        Subscription.objects.filter(agent=going).delete()

    assert skip_left_behind() == 1
    assert log_of(event) == [("held", "skipped", "the subscription went with its agent"), ("stays", "started", "")]


def test_a_workspace_that_can_not_be_dispatched_holds_up_no_other(
    workspace: Workspace, subscribe: Subscribe, dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_workspace()
    enqueue = outbox.enqueue_deliveries

    def faulty(events: Any, now: Any) -> int:
        if events[0].workspace == workspace:
            raise RuntimeError("a fault")
        return enqueue(events, now=now)

    monkeypatch.setattr(dispatching, "enqueue_deliveries", faulty)
    subscribe()
    here, elsewhere = emit_event(workspace, "order.paid"), emit_event(other, "order.paid")
    dispatch()
    here.refresh_from_db()
    elsewhere.refresh_from_db()
    assert here.dispatched_at is None
    assert elsewhere.dispatched_at is not None
    assert not Run.objects.exists()

    monkeypatch.undo()
    dispatch()
    assert Run.objects.count() == 1


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


def test_a_flood_is_worked_off_in_parts_that_are_bounded(
    workspace: Workspace, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, figure in (("AT_ONCE", 4), ("LAUNCHED_AT_ONCE", 6), ("TRANSACTIONS_OF_A_ROUND", 3)):
        monkeypatch.setattr(dispatching, name, figure)
    other, dispatch = make_workspace(), Dispatcher()
    for name in ("one", "two", "three"):
        subscribe(name, input={"goal": "{{ data }}"})
    subscribe("batch", pattern="order.many", flow={"batch": {"count": 30, "seconds": 600}})
    emit_events(workspace, [NewEvent(name="order.paid", data=number) for number in range(9)])
    emit_events(other, [NewEvent(name="order.paid") for _ in range(9)])
    rounds = [dispatch()]
    # Both have had their turn, the first two transactions, and neither is done.
    done = Event.objects.filter(dispatched_at__isnull=False)
    assert (done.filter(workspace=workspace).count(), done.filter(workspace=other).count()) == (4, 4)
    while rounds[-1].next_due == 0:
        rounds.append(dispatch())

    assert len(rounds) == 3
    started = [run.input["goal"] for run in Run.objects.order_by("pk")]
    assert sorted(started) == sorted(3 * list(range(9)))
    assert started == sorted(started)
    for moment in set(Match.objects.values_list("at", flat=True)):
        assert Match.objects.filter(at=moment).count() <= 6
    # What flow control lets go at once is bounded, too.
    emit_events(workspace, [NewEvent(name="order.many", data=number) for number in range(30)])
    while dispatch().next_due == 0:
        pass
    assert Match.objects.filter(name="batch", status="started").values("run").distinct().count() == 1


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
