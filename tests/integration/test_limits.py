"""The limiter on a real database: who waits for how long, in which order, and what is shown of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections

from agents.models import Worker, WorkerState
from tests.factories import make_workspace
from tests.limit_caller import SleepingCaller
from tools.limits import store
from tools.limits.limiter import Admission, Limiter
from tools.limits.store import Permits, Place
from tools.models import Limit, LimitClock, LimitPause, LimitPermit, LimitTicket

pytestmark = pytest.mark.django_db(transaction=True)


class Parks(BaseException):
    """The run was parked: the call comes back anew."""


class ParkingCaller(SleepingCaller):
    """A call whose run parks whenever it has to wait."""

    due: datetime

    async def wait_until(self, due: datetime, what: str) -> None:
        self.due, self.what = due, what
        raise Parks


HOME = 71


@pytest.fixture(autouse=True)
def home() -> None:
    make_workspace(id=HOME)


def caller(kind: type[SleepingCaller] = ParkingCaller, workspace: int = HOME, worker: int = 1) -> Any:
    return kind(workspace, worker, uuid4())


@pytest.fixture
def limiter() -> Iterator[Limiter]:
    made = Limiter()
    yield made
    made.close()


async def parked(limiter: Limiter, who: Any, key: str = "host:x") -> float | None:
    """Ask for a place; give the seconds after which to come back, None if it was let in."""
    try:
        (await limiter.admit([key], who)).release()
    except Parks:
        return float((who.due - datetime.now(UTC)).total_seconds())
    return None


def test_without_a_limit_nothing_is_asked_of_the_database(limiter: Limiter) -> None:
    async def many() -> int:
        await limiter.look()
        before = limiter.desk.statements
        for _ in range(100):
            await limiter.admit(["host:x", "tool:y"], caller())
        return limiter.desk.statements - before

    assert asyncio.run(many()) <= 3


def test_what_can_not_begin_soon_is_told_when_to_come_back(limiter: Limiter) -> None:
    Limit.objects.create(name="host:*", amount=1, period=60.0)

    async def ask() -> list[float | None]:
        return [await parked(limiter, caller()) for _ in range(3)] + [await parked(limiter, caller(), "host:y")]

    first, second, third, other = asyncio.run(ask())
    assert first is None
    assert other is None, "each name that begins so is limited by itself"
    assert second is not None
    assert third is not None
    assert 55 < second < 61
    assert 115 < third < 122


def test_who_comes_back_has_its_place_and_a_newcomer_of_the_same_workspace_stands_behind(limiter: Limiter) -> None:
    workspace = make_workspace()
    limit = Limit.objects.create(name="host:x", amount=60, period=60.0)
    clock = LimitClock.objects.create(limit=limit, key="host:x", next_at=store.database_time() + 3.0)
    early = caller(workspace=workspace.pk)

    async def ask() -> list[float | None]:
        waits = [await parked(limiter, early), await parked(limiter, caller(workspace=workspace.pk))]
        # The clock has come round: both could begin now, but only one is back.
        await asyncio.to_thread(_turn_back, clock.pk)
        limiter.forget()
        newcomer = await parked(limiter, caller(workspace=workspace.pk))
        early.is_resumed = True
        return [*waits, newcomer, await parked(limiter, early)]

    first, second, newcomer, back = asyncio.run(ask())
    assert first is not None
    assert second is not None
    assert second > first
    assert newcomer is not None
    assert back is None
    assert LimitTicket.objects.count() == 2, "the ticket is used up"


def test_a_newcomer_stands_behind_those_who_queued_up_in_another_process_this_moment(limiter: Limiter) -> None:
    limit = Limit.objects.create(name="host:x", amount=60, period=1.0)
    clock = LimitClock.objects.create(limit=limit, key="host:x")
    elsewhere = Limiter()

    async def ask() -> tuple[list[float | None], float | None]:
        before = [await parked(each, caller()) for each in (limiter, elsewhere)]
        await asyncio.to_thread(_queue_up, clock.pk)
        return before, await parked(limiter, caller())

    before, newcomer = asyncio.run(ask())
    elsewhere.close()
    assert before == [None, None], "both have seen a clock that nobody waits for"
    assert newcomer is not None
    assert LimitTicket.objects.count() == 2


def _queue_up(clock_id: int) -> None:
    now = store.database_time()
    store.queue_up(clock_id, 1.0, now, [Place(HOME, uuid4(), "tool:x#0")], now)
    connections.close_all()


def _turn_back(clock_id: int) -> None:
    LimitClock.objects.filter(pk=clock_id).update(next_at=0.0)
    connections.close_all()


def test_workspaces_take_turns() -> None:
    greedy, modest = make_workspace(), make_workspace()
    limit = Limit.objects.create(name="host:x", amount=1)
    clock = LimitClock.objects.create(limit=limit, key="host:x")
    now = store.database_time()

    def queue(workspace: int, calls: int) -> list[float]:
        places = [Place(workspace, uuid4(), "tool:x#0") for _ in range(calls)]
        return store.queue_up(clock.pk, 1.0, now, places, now)

    backlog = queue(greedy.pk, 100)
    assert backlog == [pytest.approx(now + n) for n in range(100)]
    assert max(queue(modest.pk, 3)) <= now + 8
    assert min(queue(greedy.pk, 1)) >= now + 100


def test_a_pause_holds_for_all_until_it_is_over(limiter: Limiter) -> None:
    async def ask() -> tuple[float | None, float | None]:
        admission: Admission = await limiter.admit(["tool:x", "host:x"], caller(), pauses=["host:x"])
        await admission.pause(30.0, "429")
        await admission.pause(5.0, "429, sooner: that does not shorten it")
        return await parked(limiter, caller()), await parked(limiter, caller(), "tool:x")

    paused, other = asyncio.run(ask())
    assert paused is not None
    assert 25 < paused < 33
    assert other is None
    assert list(LimitPause.objects.values_list("key", flat=True)) == ["host:x"]


def make_worker(state: str = WorkerState.ALIVE) -> Worker:
    return Worker.objects.create(name="w", host="h", host_id="h", pid=1, pid_start=1, state=state, lease=8.0, seen=0.0)


def test_permits_are_shared_and_die_with_their_worker() -> None:
    limit = Limit.objects.create(name="cpu", at_once=3)
    clock = LimitClock.objects.create(limit=limit, key="cpu")
    first, second = make_worker(), make_worker()

    def take(worker: Worker, held: int, more: int) -> int:
        return store.take_permits(worker.pk, [Permits(clock.pk, held, more, 3)])[clock.pk]

    assert take(first, 0, 2) == 2
    assert take(second, 0, 5) == 1
    assert take(second, 1, 5) == 0
    # The answer was lost: asked again, nothing is counted twice.
    assert take(first, 0, 2) == 2
    Worker.objects.filter(pk=first.pk).update(state=WorkerState.DEAD)
    assert take(second, 1, 5) == 2
    assert take(second, 0, 0) == 0
    assert LimitPermit.objects.get(worker=second).held == 0


def test_a_call_that_ends_lets_the_next_one_in(limiter: Limiter) -> None:
    Limit.objects.create(name="cpu", at_once=2)
    worker = make_worker()
    together: list[int] = []
    now = 0

    async def call() -> None:
        nonlocal now
        admission = await limiter.admit(["cpu"], caller(SleepingCaller, worker=worker.pk))
        now += 1
        together.append(now)
        await asyncio.sleep(0.02)
        now -= 1
        admission.release()

    async def all_at_once() -> None:
        await asyncio.gather(*(call() for _ in range(8)))

    asyncio.run(all_at_once())
    assert len(together) == 8
    assert max(together) == 2


def test_tokens_are_reserved_before_and_settled_after(limiter: Limiter) -> None:
    Limit.objects.create(name="llm:x", amount=1000, period=60.0, unit="tokens")

    async def ask(tokens: int, really: int) -> float | None:
        who = caller()
        try:
            admission = await limiter.admit(["llm:x"], who, tokens=tokens)
        except Parks:
            return float((who.due - datetime.now(UTC)).total_seconds())
        admission.settle(really)
        admission.release()
        return None

    async def asks() -> list[float | None]:
        waits = [await ask(1000, 20)]
        async with asyncio.timeout(30):
            while limiter.has_corrections:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        limiter.forget()
        return [*waits, await ask(10, 10)]

    first, second = asyncio.run(asks())
    assert first is None
    assert second is None or second < 10, "most of what was reserved was not used"


def test_a_limit_that_is_removed_limits_no_more(limiter: Limiter) -> None:
    limit = Limit.objects.create(name="host:x", amount=1, period=60.0)

    async def ask() -> list[float | None]:
        waits = [await parked(limiter, caller()), await parked(limiter, caller())]
        await asyncio.to_thread(_remove, limit)
        limiter.forget()
        return [*waits, await parked(limiter, caller())]

    first, second, third = asyncio.run(ask())
    assert (first, third) == (None, None)
    assert second is not None


def _remove(limit: Limit) -> None:
    limit.delete()
    connections.close_all()


def test_another_workspace_s_limit_is_not_one_s_own(limiter: Limiter) -> None:
    mine, other = make_workspace(), make_workspace()
    Limit.objects.create(name="host:x", amount=1, period=60.0, workspace=mine)

    async def ask() -> list[float | None]:
        return [await parked(limiter, caller(workspace=each.pk)) for each in (mine, mine, other, other)]

    waits = asyncio.run(ask())
    assert [wait is None for wait in waits] == [True, False, True, True]


def test_tickets_of_those_who_never_come_back_are_given_up() -> None:
    workspace = make_workspace()
    limit = Limit.objects.create(name="host:x", amount=1)
    clock = LimitClock.objects.create(limit=limit, key="host:x")
    now = store.database_time()
    store.queue_up(clock.pk, 1.0, now, [Place(workspace.pk, uuid4(), "tool:x#0")], now)
    store.sweep(now + timedelta(minutes=2).total_seconds())
    assert not LimitTicket.objects.exists()
