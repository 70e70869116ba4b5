"""Flow control over the tables: how many runs come of how many events, when, and what the delivery log says of each.

The time is the test's: it passes when the test says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from agents.engine.beside import Round
from agents.engine.database_clock import database_now
from agents.models import Event, Flow, Match, Run, RunEvent, Subscription, SubscriptionState, Workspace
from agents.services import dispatching, launching, lines, subscriptions
from agents.services.dispatching import Dispatcher
from agents.services.events import emit_event
from agents.services.runs import cancel_run

pytestmark = pytest.mark.django_db

Subscribe = Callable[..., Subscription]


class Clock:
    """The time by which the dispatcher goes, in seconds since the test began."""

    def __init__(self) -> None:
        self.began = self.now = database_now()

    def __call__(self) -> datetime:
        return self.now

    def at(self, seconds: float) -> Round:
        """Let it be so many seconds after the beginning, and have a worker look at what there is to do."""
        self.now = self.began + timedelta(seconds=seconds)
        return Dispatcher()()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    for module in (dispatching, lines):
        monkeypatch.setattr(module, "database_now", clock)
    yield clock
    # Whatever it was: nothing is held any more, or something is going to look at it.
    held = Match.objects.filter(status="held", subscription__state=SubscriptionState.ACTIVE)
    for match in held:
        line = Flow.objects.get(subscription=match.subscription, key=match.key)
        assert line.due_at is not None or line.waits_for_id is not None, match


def tell(workspace: Workspace, n: int, user: str = "ann", **more: Any) -> Event:
    return emit_event(workspace, "order.paid", {"n": n, "user": user}, **more)


def log() -> list[tuple[int, str, str]]:
    """Give the delivery log in the events' order: the number that the event was given, what came of it, and why."""
    matches = Match.objects.select_related("event").order_by("event_id", "id")
    return [(match.event.data["n"], match.status, match.reason) for match in matches]


def started() -> list[Any]:
    """Give the inputs of the runs in the order in which they were started."""
    return [run.input["goal"] for run in Run.objects.filter(source="event").order_by("pk")]


N = {"goal": "{{ data.n }}"}
REPLACED = "a later event took its place"


def test_debounce_waits_for_quiet_key_by_key_and_takes_the_last(
    workspace: Workspace, subscribe: Subscribe, clock: Clock
) -> None:
    subscribe(flow={"key": "data.user", "debounce": {"seconds": 10, "longest": 25}}, input=N)
    for at, n, user in ((0, 1, "ann"), (2, 2, "ben"), (4, 3, "ann"), (8, 4, "ann")):
        tell(workspace, n, user)
        clock.at(at)
    assert clock.at(11).next_due == 1
    assert started() == []
    assert clock.at(12).has_started_runs
    assert started() == [2]
    assert not clock.at(17).has_started_runs
    clock.at(18)
    assert started() == [2, 4]
    assert log() == [(1, "skipped", REPLACED), (2, "started", ""), (3, "skipped", REPLACED), (4, "started", "")]
    # Without a quiet moment it ends with the longest wait.
    for at in (100, 105, 110, 115, 120):
        tell(workspace, at)
        clock.at(at)
    clock.at(125)
    assert started() == [2, 4, 120]


def test_a_batch_is_one_run_of_its_events_when_full_or_when_its_time_is_over(
    workspace: Workspace, subscribe: Subscribe, clock: Clock
) -> None:
    given = {"goal": "{{ count }}", "all": "{{ events }}", "last": "{{ data.n }}"}
    subscribe(flow={"key": "data.user", "batch": {"count": 3, "seconds": 60}}, input=given, priority=4)
    tell(workspace, 1)
    tell(workspace, 2, "ben")
    tell(workspace, 3)
    assert clock.at(0).next_due == 60
    assert [status for _, status, _ in log()] == ["held"] * 3
    tell(workspace, 4, tainted=True)
    clock.at(30)
    assert not clock.at(59).has_started_runs
    clock.at(60)

    full, over = Run.objects.filter(source="event").order_by("pk")
    assert [event["data"]["n"] for event in full.input["all"]] == [1, 3, 4]
    assert (full.input["goal"], full.input["last"], full.priority, full.tainted) == (3, 4, 4, True)
    assert (over.input["goal"], over.input["last"], over.tainted) == (1, 2, False)
    runs = Match.objects.order_by("event_id").values_list("status", "run")
    assert list(runs) == [("started", full.pk), ("started", over.pk), ("started", full.pk), ("started", full.pk)]


def test_the_rate_skips_and_says_so_key_by_key(workspace: Workspace, subscribe: Subscribe, clock: Clock) -> None:
    subscribe(flow={"key": "data.user", "rate": {"count": 2, "seconds": 10}}, input=N)
    for at, n, user in ((0, 1, "ann"), (1, 2, "ann"), (2, 3, "ann"), (2, 4, "ben"), (9.9, 5, "ann"), (10, 6, "ann")):
        tell(workspace, n, user)
        clock.at(at)
    assert started() == [1, 2, 4, 6]
    skipped = [(n, reason) for n, status, reason in log() if status == "skipped"]
    assert skipped == [(3, "the rate is 2 in 10 s"), (5, "the rate is 2 in 10 s")]


def test_the_throttle_lets_wait_what_is_too_much(workspace: Workspace, subscribe: Subscribe, clock: Clock) -> None:
    subscribe(flow={"throttle": {"count": 2, "seconds": 10}}, input=N)
    for n in range(5):
        tell(workspace, n)
    assert clock.at(0).next_due == 10
    assert [status for _, status, _ in log()] == ["started", "started", "held", "held", "held"]
    clock.at(9.9)
    assert started() == [0, 1]
    clock.at(10)
    assert started() == [0, 1, 2, 3]
    clock.at(20)
    assert started() == [0, 1, 2, 3, 4]


def test_while_a_run_goes_on_the_next_is_skipped(workspace: Workspace, subscribe: Subscribe, clock: Clock) -> None:
    subscribe(flow={"key": "data.user", "overlap": "skip"}, input=N)
    tell(workspace, 1)
    clock.at(0)
    tell(workspace, 2)
    tell(workspace, 3, "ben")
    clock.at(1)
    cancel_run(Run.objects.get(input__contains='"goal":1'), by=None)
    tell(workspace, 4)
    clock.at(2)
    assert started() == [1, 3, 4]
    assert log()[1] == (2, "skipped", "an earlier run still goes on")


def test_while_a_run_goes_on_the_next_waits_for_its_end(
    workspace: Workspace, subscribe: Subscribe, clock: Clock
) -> None:
    subscribe(flow={"overlap": "queue"}, input=N)
    for n in range(3):
        tell(workspace, n)
    clock.at(0)
    for at in range(1, 4):
        assert started() == list(range(at))
        clock.at(at)
        assert started() == list(range(at))
        cancel_run(Run.objects.order_by("pk").last(), by=None)  # type: ignore[arg-type]
        clock.at(at + 0.5)
    assert log() == [(0, "started", ""), (1, "started", ""), (2, "started", "")]


def test_the_next_takes_the_place_of_a_run_that_goes_on(
    workspace: Workspace, subscribe: Subscribe, clock: Clock
) -> None:
    subscribe(flow={"key": "data.user", "overlap": "cancel"}, input=N)
    tell(workspace, 1)
    tell(workspace, 2, "ben")
    clock.at(0)
    for n in (3, 4):
        tell(workspace, n)
    clock.at(1)
    by_goal = {run.input["goal"]: run for run in Run.objects.filter(source="event")}
    statuses = {n: run.status for n, run in by_goal.items()}
    assert statuses == {1: "cancelled", 2: "queued", 3: "cancelled", 4: "queued"}
    assert RunEvent.objects.get(run=by_goal[1], kind="run_cancel_requested").data["by"] == "a later event"
    assert [status for _, status, _ in log()] == ["started"] * 4


def test_what_is_held_goes_on_by_the_rules_that_hold_then(
    workspace: Workspace, subscribe: Subscribe, clock: Clock
) -> None:
    made = subscribe(flow={"debounce": {"seconds": 600}}, input=N)
    tell(workspace, 1)
    clock.at(0)
    subscriptions.set_state(made, SubscriptionState.PAUSED, by=None)
    clock.at(700)
    # Not held back: while it is paused nothing comes of them.
    tell(workspace, 2)
    clock.at(701)
    assert log() == [(1, "held", "")]
    subscriptions.set_state(made, SubscriptionState.ACTIVE, by=None)
    clock.at(702)
    assert started() == [1]

    tell(workspace, 3)
    clock.at(703)
    wanted = subscriptions.Wanted(pattern="order.*", agent=made.agent.name, input=N, flow={"debounce": {"seconds": 5}})
    subscriptions.change_subscription(made, wanted, by=None)
    assert clock.at(704).next_due == 4
    clock.at(708)
    assert started() == [1, 3]

    tell(workspace, 4)
    clock.at(709)
    subscriptions.remove_subscription(made, by=None)
    clock.at(800)
    assert log()[-1] == (4, "skipped", "the subscription was removed")


def test_a_line_that_is_too_long_takes_no_more_and_says_so(
    workspace: Workspace, subscribe: Subscribe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "MAX_LINE", 2)
    subscribe(flow={"key": "data.user", "throttle": {"count": 1, "seconds": 10}}, input=N)
    for n, user in ((0, "ann"), (1, "ann"), (2, "ann"), (3, "ann"), (4, "ben")):
        tell(workspace, n, user)
        clock.at(n)
    assert [status for _, status, _ in log()] == ["started", "held", "held", "skipped", "started"]
    assert log()[3][2] == "2 events of this key are held already"


def test_what_tells_events_apart_may_be_anything_or_missing(
    workspace: Workspace, subscribe: Subscribe, clock: Clock
) -> None:
    subscribe(flow={"key": "data.user", "overlap": "skip"}, input=N)
    for n, user in enumerate([None, "", 0, 0.0, True, "x" * 5_000, "x" * 5_001, {"a": 1}, [1], "ü\u2028'\""]):
        emit_event(workspace, "order.paid", {"n": n, "user": user})
    emit_event(workspace, "order.paid", {"n": 99})
    clock.at(0)
    assert {status for _, status, _ in log()} == {"started", "skipped"}
    assert len(log()) == 11
    assert 0 in started()
