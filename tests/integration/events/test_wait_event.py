"""Runs that wait for events and tell of them, in the hands of a real worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from agents.engine import Context, workflow
from agents.engine.beside import Round
from agents.engine.happening_records import Listening
from agents.models import Event, Inbox, Listener, Match, Run, Step, Subscription, Wait, Workspace
from agents.services import dispatching
from agents.services.dispatching import Dispatcher
from agents.services.events import emit_event, send_signal
from agents.services.listening import Listeners, forget_ended
from agents.services.runs import cancel_run, start_run
from tests.driving import RunningDriver, as_rival, steps_of, until, wait_for
from tests.factories import make_agent, make_run, make_workspace

pytestmark = pytest.mark.django_db(transaction=True)

PAID = {"path": "order", "equals": 17}


def tell(workspace: Workspace, name: str, data: Any = None, **more: Any) -> Event:
    with transaction.atomic():
        return emit_event(workspace, name, data, **more)


def start(workspace: Workspace, name: str, input: Any = None) -> UUID:
    return start_run(workspace=workspace, workflow=name, input=input).pk


async def _waits(ctx: Context, input: Any) -> Any:
    event = await ctx.wait_event("order.paid", PAID, timeout=input)
    return event and [event.id, event.data["n"]]


def test_a_parked_run_is_woken_by_the_first_event_that_fits(workspace: Workspace, driver: RunningDriver) -> None:
    workflow("waits")(_waits)
    run_id = start(workspace, "waits")
    wait_for(lambda: Listener.objects.filter(has_looked_back=True).exists() and _is_parked(run_id))
    assert Run.objects.get(pk=run_id).reason == "waiting: event order.paid"
    assert Wait.objects.get(run_id=run_id).kind == "event"

    tell(workspace, "order.paid", {"order": 16, "n": 0})
    tell(make_workspace(), "order.paid", {"order": 17, "n": 0})
    first = tell(workspace, "order.paid", {"order": 17, "n": 1})
    tell(workspace, "order.paid", {"order": 17, "n": 2})

    assert until(run_id).output == [first.pk, 1]
    woken = Match.objects.get()
    assert (woken.event_id, woken.run_id, woken.status, woken.key) == (
        first.pk,
        run_id,
        "woke",
        "wait_event:order.paid#0",
    )
    assert not Listener.objects.exists()
    wait_for(lambda: not Event.objects.filter(dispatched_at=None).exists())
    assert Inbox.objects.filter(run_id=run_id).count() == 1


def test_an_event_that_came_between_two_steps_counts(workspace: Workspace, driver: RunningDriver) -> None:
    @workflow("comes_late")
    async def comes_late(ctx: Context, input: Any) -> Any:
        await ctx.wait_event("start.now")
        first = await ctx.wait_event("order.*", PAID)
        second = await ctx.wait_event("order.*", PAID)
        assert first is not None
        assert second is not None
        return [first.data["n"], second.data["n"]]

    tell(workspace, "order.paid", {"order": 17, "n": "before the run"})
    wait_for(lambda: not Event.objects.filter(dispatched_at=None).exists())
    run_id = start(workspace, "comes_late")
    wait_for(lambda: _is_parked(run_id))
    tell(workspace, "order.paid", {"order": 17, "n": 1})
    tell(workspace, "orders", {"order": 17, "n": "another name"})
    tell(workspace, "order.sent", {"order": 17, "n": 2})
    wait_for(lambda: not Event.objects.filter(dispatched_at=None).exists())
    tell(workspace, "start.now")

    assert until(run_id).output == [1, 2]


def test_none_comes_in_time(workspace: Workspace, driver: RunningDriver) -> None:
    workflow("waits")(_waits)
    run_id = start(workspace, "waits", 0.2)
    assert until(run_id).output is None
    assert not Listener.objects.exists()


def test_a_signal_reaches_its_run_alone_also_before_it_waits(workspace: Workspace, driver: RunningDriver) -> None:
    @workflow("obeys")
    async def obeys(ctx: Context, input: Any) -> Any:
        first = await ctx.wait_event("go")
        second = await ctx.wait_event("go")
        return [first and first.data, second and second.data]

    one, other = start(workspace, "obeys"), start(workspace, "obeys")
    for data in ("first", "second"):
        with transaction.atomic():
            send_signal(Run.objects.get(pk=one), "go", data)

    assert until(one).output == ["first", "second"]
    assert not Run.objects.get(pk=other).has_ended
    cancel_run(Run.objects.get(pk=other), by=None)
    until(other)
    wait_for(lambda: forget_ended() or not Listener.objects.exists())


def test_what_a_run_tells_of_starts_an_agent_and_what_started_it_is_no_news(
    workspace: Workspace, driver: RunningDriver, subscribe: Callable[..., Subscription]
) -> None:
    @workflow("tells")
    async def tells(ctx: Context, input: Any) -> Any:
        await ctx.emit_event("order.paid", {"order": 17, "n": 1})
        return "told"

    @workflow("hears")
    async def hears(ctx: Context, input: Any) -> Any:
        again = await ctx.wait_event("order.paid", timeout=0.1)
        return [input["event"]["data"], again]

    make_agent(workspace, "hearer", workflow="hears")
    subscribe(agent="hearer", pattern="order.paid")
    telling = start(workspace, "tells")

    assert until(telling).output == "told"
    assert "emit_event:order.paid#0" in steps_of(telling)
    match = wait_for(lambda: Match.objects.select_related("event", "run").first())
    assert (match.event.cause_id, match.event.source) == (telling, "workflow:tells")
    assert until(match.run_id).output == [{"order": 17, "n": 1}, None]
    assert Event.objects.count() == 1


def test_an_event_of_strangers_taints_the_run_by_the_step(workspace: Workspace, driver: RunningDriver) -> None:
    workflow("waits")(_waits)
    run_id = start(workspace, "waits")
    tell(workspace, "order.paid", {"order": 17, "n": 1}, tainted=True)
    until(run_id)
    assert Run.objects.get(pk=run_id).tainted
    assert Step.objects.get(run_id=run_id, key="wait_event:order.paid#0").tainted


# -- the moments between two commits, each held still ----------------------------------------------------------------


def listening(run: Run, key: str = "wait_event:order.paid#0") -> Listening:
    return Listening(run.workspace_id, run.pk, key, "order.paid", PAID)


def told(run: Run) -> list[int]:
    """Give the numbers of the events that a run was told of."""
    return [message.data["data"]["n"] for message in Inbox.objects.filter(run=run).order_by("id")]


def test_an_event_between_registration_and_the_look_back_comes_once(
    workspace: Workspace, dispatch: Callable[[], Round], monkeypatch: pytest.MonkeyPatch
) -> None:
    from agents.services import listening as module

    run = make_run(workspace)
    register = module._register

    def rivalled(wanted: Listening) -> bool:
        done = register(wanted)
        for number in (1, 2):
            tell(workspace, "order.paid", {"order": 17, "n": number})
        as_rival(Dispatcher())
        return done

    monkeypatch.setattr(module, "_register", rivalled)
    Listeners().listen(listening(run))
    dispatch()

    assert told(run) == [1]
    assert not Listener.objects.exists()


def test_an_event_that_is_not_dispatched_yet_is_found_by_the_look_back_and_comes_once(
    workspace: Workspace, dispatch: Callable[[], Round]
) -> None:
    run = make_run(workspace)
    tell(workspace, "order.paid", {"order": 17, "n": 1})
    assert Listeners().listen(listening(run))
    dispatch()
    assert told(run) == [1]
    # A replay that asks again before it has read its inbox is told nothing more.
    tell(workspace, "order.paid", {"order": 17, "n": 2})
    assert not Listeners().listen(listening(run))
    dispatch()
    assert told(run) == [1]
    # Another wait of the run is given the next one.
    assert Listeners().listen(listening(run, "wait_event:order.paid#1"))
    assert told(run) == [1, 2]


def test_a_dispatcher_that_dies_after_it_told_runs_tells_and_starts_nothing_twice(
    workspace: Workspace,
    dispatch: Callable[[], Round],
    subscribe: Callable[..., Subscription],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscribe()
    run = make_run(workspace)
    Listeners().listen(listening(run))
    tell(workspace, "order.paid", {"order": 17, "n": 1})

    class Killed(BaseException):
        """As by SIGKILL: nothing after this happens, the transaction is gone."""

    def killed(*args: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(dispatching, "enqueue_deliveries", lambda events, now: killed())
        with pytest.raises(Killed):
            dispatch()
    assert told(run) == [1]
    assert outcomes() == ["woke"]

    dispatch()
    dispatch()
    assert told(run) == [1]
    assert outcomes() == ["woke", "started"]
    assert Run.objects.exclude(pk=run.pk).count() == 1


def outcomes() -> list[str]:
    """What the delivery log says, in its order."""
    return list(Match.objects.order_by("id").values_list("status", flat=True))


def _is_parked(run_id: UUID) -> bool:
    return Run.objects.get(pk=run_id).status == "waiting"
