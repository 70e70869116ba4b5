"""What goes wrong with one event, subscription, line or workspace holds up no other; nor does a flood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from agents.engine.beside import Round
from agents.models import (
    Agent,
    Event,
    Flow,
    Listener,
    Match,
    Run,
    Subscription,
    WebhookEndpoint,
    Workspace,
)
from agents.services import dispatching, launching
from agents.services.dispatching import Dispatcher
from agents.services.events import NewEvent, emit_event, emit_events
from agents.services.lines import skip_left_behind
from agents.services.subscriptions import Wanted, change_subscription
from agents.triggers import inputs, outbox
from tests.driving import log_of
from tests.factories import make_agent, make_run, make_webhooks, make_workspace

pytestmark = pytest.mark.django_db

Subscribe = Callable[..., Subscription]
Dispatch = Callable[[], Round]


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


def break_in_the_tables() -> None:
    """Write what nobody's form takes; a hand in the table may."""
    Subscription.objects.filter(name="a-filter").update(filter={"path": "x", "sounds_like": 1})
    Subscription.objects.filter(name="b-flow").update(flow={"overlap": "perhaps"})
    Subscription.objects.filter(name="c-held").update(flow={"debounce": "soon"})
    Listener.objects.update(filter=7)
    WebhookEndpoint.objects.update(filter=[7])
    Flow.objects.update(due_at=timezone.now())


def test_what_is_broken_in_the_tables_says_so_and_harms_no_other(
    workspace: Workspace, agent: Agent, subscribe: Subscribe, dispatch: Dispatch
) -> None:
    subscribe("a-filter")
    subscribe("b-flow")
    held = subscribe("c-held", flow={"debounce": {"seconds": 600}})
    archived = subscribe("d-archived", agent=make_agent(workspace, "archived").name)
    subscribe("e-fine")
    subscribe("f-held", flow={"overlap": "queue"})
    Listener.objects.create(workspace=workspace, run=make_run(workspace), key="k", pattern="*")
    shop = make_webhooks(workspace, "shop").endpoint
    emit_event(workspace, "order.first")
    dispatch()
    break_in_the_tables()
    Agent.objects.filter(pk=archived.agent_id).update(archived_at=timezone.now())
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
