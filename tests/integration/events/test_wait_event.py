"""Runs that wait for events and tell of them, in the hands of a real worker."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Thread
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from agents.engine import Context, workflow
from agents.engine.beside import Round
from agents.engine.happening_records import Listening, told_name
from agents.engine.journal.opening import open_store
from agents.engine.records import Change
from agents.models import Event, Inbox, Listener, Match, Run, RunEvent, Step, Subscription, Wait, Workspace
from agents.services import dispatching
from agents.services.dispatching import Dispatcher
from agents.services.events import NewEvent, emit_event, emit_events, send_signal
from agents.services.handing_over import hand_over
from agents.services.listening import Listeners, forget_ended
from agents.services.runs import cancel_run, start_run
from tests.driving import PATIENCE, RunningDriver, as_rival, steps_of, until, wait_for
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


def register(*wanted: Listening) -> None:
    """Register waits, as a worker's journal does."""
    store = open_store()
    with store.transaction():
        store.write_listens([Change(one.run_id, 1, listens=[one]) for one in wanted])
    store.close()


def listen(wanted: Listening) -> bool:
    """Register a wait and look back; tells whether an event had come."""
    register(wanted)
    return Listeners().look_back([wanted])[0]


def told(run: Run) -> list[int]:
    """Give the numbers of the events that a run was told of."""
    return [message.data["data"]["n"] for message in Inbox.objects.filter(run=run).order_by("id")]


def test_an_event_between_registration_and_the_look_back_comes_once(
    workspace: Workspace, dispatch: Callable[[], Round]
) -> None:
    run = make_run(workspace)
    register(listening(run))
    for number in (1, 2):
        tell(workspace, "order.paid", {"order": 17, "n": number})
    as_rival(Dispatcher())
    assert not Listeners().look_back([listening(run)])[0]
    dispatch()

    assert told(run) == [1]
    assert not Listener.objects.exists()


def test_an_event_that_was_dispatched_before_the_registration_is_found_by_the_look_back(
    workspace: Workspace, dispatch: Callable[[], Round]
) -> None:
    run, later = make_run(workspace), make_workspace()
    tell(workspace, "order.paid", {"order": 17, "n": 1})
    dispatch()
    register(listening(run))
    tell(workspace, "order.paid", {"order": 17, "n": 2})
    # What is dispatched meanwhile does not overtake it.
    dispatch()
    assert told(run) == [1]
    assert not listen(listening(make_run(later)))


def test_an_event_that_is_not_dispatched_yet_is_found_by_the_look_back_and_comes_once(
    workspace: Workspace, dispatch: Callable[[], Round]
) -> None:
    run = make_run(workspace)
    tell(workspace, "order.paid", {"order": 17, "n": 1})
    assert listen(listening(run))
    dispatch()
    assert told(run) == [1]
    # A replay that asks again before it has read its inbox is told nothing more.
    tell(workspace, "order.paid", {"order": 17, "n": 2})
    assert not listen(listening(run))
    assert not Listener.objects.exists()
    dispatch()
    assert told(run) == [1]
    # Another wait of the run is given the next one.
    assert listen(listening(run, "wait_event:order.paid#1"))
    assert told(run) == [1, 2]


def test_a_wait_that_asks_for_something_else_looks_back_anew_and_one_that_is_over_is_told_nothing(
    workspace: Workspace, dispatch: Callable[[], Round]
) -> None:
    run = make_run(workspace)
    tell(workspace, "order.paid", {"order": 18, "n": 1})
    assert not listen(listening(run))
    stale = Listener.objects.get()
    assert stale.has_looked_back
    # The code that asks was changed.
    register(replace(listening(run), match={"path": "order", "gte": 17}))
    # A dispatcher that has read the wait as it was does not hand it what it wants no more.
    fits_no_more = tell(workspace, "order.paid", {"order": 17, "n": 2})
    assert hand_over([(stale, [fits_no_more])]) == set()
    assert Listeners().look_back([listening(run)]) == [True]
    assert told(run) == [1]

    other = make_run(workspace)
    register(replace(listening(other), pattern="order.sent"))
    store = open_store()
    with store.transaction():
        store.write_listens([Change(other.pk, 1, deaf=[listening(other).key])])
    store.close()
    tell(workspace, "order.sent", {"order": 17, "n": 3})
    dispatch()
    assert told(other) == []


# -- many at once -----------------------------------------------------------------------------------------------------


def test_looking_back_and_telling_takes_as_many_statements_for_many_runs_as_for_few(
    workspace: Workspace, dispatch: Callable[[], Round], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "LOOK_AT_ENDS", math.inf)
    dispatch()

    def statements(count: int) -> list[int]:
        runs = [make_run(workspace, status="waiting") for _ in range(count)]
        wanted = [listening(run) for run in runs]
        Wait.objects.bulk_create(Wait(run=run, kind="event", key=told_name(wanted[0].key)) for run in runs)
        register(*wanted)
        with CaptureQueriesContext(connection) as looked:
            assert Listeners().look_back(wanted) == [False] * count
        tell(workspace, "order.paid", {"order": 17, "n": count})
        with CaptureQueriesContext(connection) as handed:
            dispatch()
        assert [told(run) for run in runs] == [[count]] * count
        assert set(Run.objects.filter(workspace=workspace).values_list("status", "wakes")) == {("queued", 1)}
        assert RunEvent.objects.filter(kind="run_woken", run__in=runs).count() == count
        return [len(asked) for asked in (looked, handed)]

    assert statements(3) == statements(60)


def test_runs_that_wait_for_one_event_each_get_theirs_and_no_other(
    workspace: Workspace, driver: RunningDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    look_back = Listeners.look_back

    def counted(listeners: Listeners, wanted: Sequence[Listening]) -> list[bool]:
        asked.append(len(wanted))
        return look_back(listeners, wanted)

    monkeypatch.setattr(Listeners, "look_back", counted)

    @workflow("waits_for_its_own")
    async def waits_for_its_own(ctx: Context, input: Any) -> Any:
        event = await ctx.wait_event("order.paid", {"path": "order", "equals": input})
        return event and event.data["order"]

    with transaction.atomic():
        runs = [start(workspace, "waits_for_its_own", number) for number in range(40)]
    parked = Run.objects.filter(status="waiting")
    wait_for(lambda: parked.count() == 40)
    # They asked together, whoever came while an answer was on its way.
    assert sum(asked) == 40
    assert len(asked) < 20
    with transaction.atomic():
        emit_events(workspace, [NewEvent(name="order.paid", data={"order": number}) for number in range(1, 40)])
    assert [until(run).output for run in runs[1:]] == list(range(1, 40))
    assert parked.get().pk == runs[0]
    assert Match.objects.count() == Inbox.objects.count() == 39


def test_two_waits_of_a_run_get_two_events_in_their_order(workspace: Workspace, dispatch: Callable[[], Round]) -> None:
    run = make_run(workspace)
    wanted = [listening(run, f"wait_event:order.paid#{number}") for number in range(3)]
    tell(workspace, "order.paid", {"order": 17, "n": 1})
    register(*wanted)
    assert Listeners().look_back(wanted) == [True, False, False]
    with transaction.atomic():
        emit_events(workspace, [NewEvent(name="order.paid", data={"order": 17, "n": number}) for number in (2, 3, 4)])
    dispatch()
    assert told(run) == [1, 2, 3]
    assert list(Inbox.objects.order_by("id").values_list("name", flat=True)) == [told_name(one.key) for one in wanted]


def test_a_run_that_another_holds_keeps_nobody_from_being_told(
    workspace: Workspace, dispatch: Callable[[], Round]
) -> None:
    if connection.vendor == "sqlite":
        return  # One transaction at a time is its own rule.
    held, free = make_run(workspace), make_run(workspace)
    register(listening(held), listening(free))
    Listener.objects.update(has_looked_back=True)
    tell(workspace, "order.paid", {"order": 17, "n": 1})
    with transaction.atomic():
        Run.objects.select_for_update().get(pk=held.pk)
        telling = Thread(target=as_rival, args=(Dispatcher(),))
        telling.start()
        wait_for(lambda: told(free) == [1])
        assert told(held) == []
    telling.join(PATIENCE)
    assert told(held) == [1]
    assert not Listener.objects.exists()


def test_a_dispatcher_that_dies_after_it_told_runs_tells_and_starts_nothing_twice(
    workspace: Workspace,
    dispatch: Callable[[], Round],
    subscribe: Callable[..., Subscription],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscribe()
    run = make_run(workspace)
    listen(listening(run))
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
