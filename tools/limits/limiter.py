"""The limiter of one process: lets a call begin when all limits that it counts for let it.

It gathers what all calls of the process want for `TICK` seconds and asks the database once for all of them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import InterfaceError, OperationalError, connection

from tools.limits import store
from tools.limits.desk import Ask, Desk, Later, Start
from tools.limits.permits import PermitShelves
from tools.limits.rules import Rule, rules_for
from tools.limits.store import Known, Place

logger = logging.getLogger(__name__)

T = TypeVar("T")

TICK = 0.02
"""Seconds for which a process gathers before it asks the database, once; twice as long if it asked twice."""
HORIZON = 1.0
"""Seconds of a wait from which the run may park."""
EARLY = 0.4
"""Seconds before its time at which a run comes back, to have its start time when that is there."""
FRESH = 1.0
"""Seconds for which what is known of limits and pauses counts."""
LONGEST_PAUSE = 3600.0
SPREAD = 2.0
SWEEP = 600.0
FIRST_REST, LONGEST_REST = 0.05, 5.0


class Caller(Protocol):
    """Who wants to begin; a ToolContext is one."""

    @property
    def workspace_id(self) -> int: ...
    @property
    def run_id(self) -> UUID: ...
    @property
    def step_key(self) -> str: ...
    @property
    def worker_id(self) -> int: ...
    @property
    def is_resumed(self) -> bool: ...

    @property
    def wait_until(self) -> Callable[[datetime, str], Awaitable[None]]: ...


class Admission:
    """A call that may begin. `release` is to be called when it has ended, however it did."""

    def __init__(self, limiter: Limiter, keys: Sequence[str], pauses: Sequence[str], heeds: Sequence[str]) -> None:
        self.keys = keys
        self.heeds = heeds
        self._pauses = pauses
        self._limiter = limiter
        self._permits: list[tuple[int, int, float]] = []
        self._units: list[tuple[Rule, str, float]] = []

    def hold(self, worker_id: int, clock_id: int) -> None:
        """Take note of a permit."""
        self._permits.append((worker_id, clock_id, time.monotonic()))

    def reserved(self, rule: Rule, key: str, units: float) -> None:
        """Take note of units that may turn out to be more or fewer."""
        self._units.append((rule, key, units))

    def release(self) -> None:
        """Give the permits back."""
        permits, self._permits = self._permits, []
        for worker_id, clock_id, since in permits:
            self._limiter.permits.put_back(worker_id, clock_id, time.monotonic() - since)

    def settle(self, units: float) -> None:
        """Say how many units it really was."""
        for rule, key, reserved in self._units:
            self._limiter.correct(rule, key, (units - reserved) * rule.step)
        self._units = []

    async def pause(self, seconds: float, reason: str) -> None:
        """Have everybody wait who counts for the same, as the other side asked for: seconds, an hour at most."""
        for key in self._pauses:
            await self._limiter.pause(key, seconds, reason)


class Limiter:
    """Belongs to the event loop that it is first used in."""

    def __init__(self, *, horizon: float = HORIZON) -> None:
        self.permits = PermitShelves(self._wake)
        self.desk = Desk(horizon)
        self._horizon = horizon
        self._thread = ThreadPoolExecutor(1, "limits")
        self._asks: list[tuple[Ask, asyncio.Future[Start | Later | None]]] = []
        self._corrections: dict[int, float] = {}
        self._known: Known | None = None
        self._known_at = float("-inf")
        self._sweep_at = time.monotonic() + SWEEP * random.random()  # noqa: S311 (no secret)
        self._looking: asyncio.Task[None] | None = None
        self._working: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def admit(
        self,
        keys: Sequence[str],
        caller: Caller,
        *,
        tokens: float = 0.0,
        pauses: Sequence[str] = (),
        heeds: Sequence[str] | None = None,
    ) -> Admission:
        """Wait until a call that counts for these names may begin. `tokens` is what it will take of limits of tokens.

        `pauses` are those of the names that wait for everybody when the other side asks for a pause; `heeds` are those
        whose pauses this call waits for, by default all its names. A long wait is handed to `caller.wait_until`, where
        the run may park and the call come back anew.
        """
        admission = Admission(self, keys, pauses, keys if heeds is None else heeds)
        has_waited = caller.is_resumed
        try:
            while later := await self._attempt(admission, caller, tokens, is_resumed=has_waited):
                admission.release()
                due, what = later
                await caller.wait_until(datetime.fromtimestamp(due, UTC), what)
                has_waited = True
        except BaseException:
            admission.release()
            raise
        return admission

    async def _attempt(
        self, admission: Admission, caller: Caller, tokens: float, *, is_resumed: bool
    ) -> tuple[float, str] | None:
        """Try to get all that is needed; gives until when to wait, and for what, if it can't be had soon."""
        known = await self.look()
        if paused := self._paused(known, admission.heeds):
            return paused
        rules = rules_for(known.rules, caller.workspace_id, admission.keys)
        for rule, key in rules:
            if rule.at_once and not await self._permitted(rule, key, caller, admission):
                return self.desk.now() + await self._expected(rule, key, caller), key
        missing = [(rule, key) for rule, key in rules if rule.amount]
        is_again: set[tuple[Rule, str]] = set()
        while missing:
            starts: list[tuple[Rule, str, Start]] = []
            for rule, key in missing:
                answer = await self._start(rule, key, caller, tokens, is_resumed, (rule, key) in is_again)
                if isinstance(answer, Later):
                    return max(answer.due - EARLY, self.desk.now() + TICK), key
                if answer is not None:
                    starts.append((rule, key, answer))
                    if rule.unit == "tokens":
                        admission.reserved(rule, key, tokens)
            # One that was late for its time, for others took longer than that, takes another.
            missing = [(rule, key) for rule, key, start in starts if not self._is_in_time(rule, start)]
            is_again = set(missing)
        return None

    def _is_in_time(self, rule: Rule, start: Start) -> bool:
        return self.desk.times.at_most(time.monotonic()) <= start.at + rule.tolerance

    async def _start(
        self, rule: Rule, key: str, caller: Caller, tokens: float, is_resumed: bool, is_again: bool
    ) -> Start | Later | None:
        """Get a start time and wait until it is there."""
        place = Place(caller.workspace_id, caller.run_id, caller.step_key)
        units = max(tokens, 1.0) if rule.unit == "tokens" else 1.0
        future = asyncio.get_running_loop().create_future()
        self._asks.append((Ask(rule, key, place, units, is_resumed, is_again), future))
        self._wake()
        answer: Start | Later | None = await future
        if isinstance(answer, Start):
            delay = self.desk.times.surely(answer.at) - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
        return answer

    async def _permitted(self, rule: Rule, key: str, caller: Caller, admission: Admission) -> bool:
        clock_id = await self._in_thread(self.desk.clock, rule, key)
        if clock_id is None or rule.at_once is None:
            return True
        taken = await self.permits.take(caller.worker_id, clock_id, rule.at_once, caller.workspace_id, self._horizon)
        if taken:
            admission.hold(caller.worker_id, clock_id)
        return taken

    async def _expected(self, rule: Rule, key: str, caller: Caller) -> float:
        clock_id = await self._in_thread(self.desk.clock, rule, key)
        return self.permits.expected(caller.worker_id, clock_id) if clock_id is not None else 0.0

    # -- what is known -------------------------------------------------------------------------------------------

    def _paused(self, known: Known, keys: Iterable[str]) -> tuple[float, str] | None:
        now = self.desk.now()
        pauses = [(known.pauses[key], key) for key in keys if known.pauses.get(key, 0.0) > now]
        if not pauses:
            return None
        until, key = max(pauses)
        # Not all at the same moment, where no rate spreads them.
        return until + random.uniform(0.0, min(SPREAD, until - now)), key  # noqa: S311 (no secret)

    async def look(self) -> Known:
        """Give what is known of limits and pauses, read anew at most once a second however many ask."""
        while self._known is None or time.monotonic() - self._known_at > FRESH:
            if self._looking is None or self._looking.done():
                self._looking = self._start_task(self._look_anew())
            await asyncio.shield(self._looking)
        return self._known

    async def _look_anew(self) -> None:
        sent = time.monotonic()
        known: Known = await self._insistently(self.desk.look)
        self.desk.times.observe(sent, time.monotonic(), known.now)
        self._known, self._known_at = known, time.monotonic()
        if self._known_at > self._sweep_at:
            self._sweep_at = self._known_at + SWEEP
            await self._insistently(store.sweep, known.now)

    async def paused_for(self, key: str) -> float:
        """Give for how many seconds what counts for `key` is still to wait, as the other side asked for."""
        known = await self.look()
        return max(0.0, known.pauses.get(key, 0.0) - self.desk.now())

    async def pause(self, key: str, seconds: float, reason: str) -> None:
        """Let nobody begin what counts for `key`, for so many seconds, an hour at most."""
        await self._insistently(store.pause, key, min(seconds, LONGEST_PAUSE), reason)
        self.forget()

    def forget(self) -> None:
        """Know nothing of limits and pauses any more: the next call looks."""
        self._known_at = float("-inf")
        self.desk.forget()

    @property
    def has_corrections(self) -> bool:
        """Whether something is still to be settled."""
        return bool(self._corrections)

    def close(self) -> None:
        """Let go of the thread, and of its connection."""
        self._thread.submit(lambda: connection.close())  # the thread's own, not the one of this thread
        self._thread.shutdown()

    def correct(self, rule: Rule, key: str, seconds: float) -> None:
        """Put a clock forward or back with the next tick."""
        if seconds and (clock_id := self.desk.known_clock(rule, key)) is not None:
            self._corrections[clock_id] = self._corrections.get(clock_id, 0.0) + seconds
            self._wake()

    # -- the tick ------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._news.set()
        if self._working is None or self._working.done():
            self._working = self._start_task(self._work())

    async def _work(self) -> None:
        """Serve what is asked, tick by tick, until nobody asks any more."""
        rest_until = 0.0
        while True:
            await asyncio.sleep(max(0.0, rest_until - time.monotonic()))
            self._news.clear()
            before, began = self.desk.statements, time.monotonic()
            await self._serve_asks()
            await self._serve_permits()
            await self._serve_corrections()
            rest_until = began + TICK * max(1, self.desk.statements - before)
            if self._asks or self._corrections:
                continue
            look_at = self.permits.next_look()
            if look_at is None:
                await asyncio.sleep(max(0.0, rest_until - time.monotonic()))
                if not self._news.is_set():
                    return
            else:
                await self._wait_for_news(look_at - asyncio.get_running_loop().time())

    async def _wait_for_news(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _serve_asks(self) -> None:
        asks = [(ask, future) for ask, future in self._asks if not future.done()]
        self._asks = []
        if not asks:
            return
        try:
            answers = await self._insistently(self.desk.serve, [ask for ask, _ in asks])
        except Exception as error:  # noqa: BLE001 (handed to all who wait for an answer)
            for _, future in asks:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(asks, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    async def _serve_permits(self) -> None:
        for worker_id, asked in self.permits.wanted(asyncio.get_running_loop().time()).items():
            try:
                got = await self._in_thread(self.desk.take_permits, worker_id, asked)
            except (OperationalError, InterfaceError) as error:
                logger.warning("permits can't be written now: %s", error)
                self.permits.not_written(worker_id, asked)
                await asyncio.sleep(FIRST_REST)
            else:
                self.permits.hand_out(worker_id, got)

    async def _serve_corrections(self) -> None:
        corrections, self._corrections = self._corrections, {}
        if corrections:
            await self._insistently(self.desk.give_back, corrections)

    # -- the thread ----------------------------------------------------------------------------------------------

    async def _in_thread(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, _with_connection, function, *args)

    async def _insistently(self, function: Callable[..., T], *args: Any) -> T:
        """Call it for as long as it takes the database to come back; what was reserved without an answer is lost."""
        rest = FIRST_REST
        while True:
            try:
                return await self._in_thread(function, *args)
            except (OperationalError, InterfaceError) as error:
                logger.warning("limits can't be kept now: %s", error)
                await asyncio.sleep(rest)
                rest = min(rest * 2, LONGEST_REST)

    @staticmethod
    def _start_task(work: Any) -> asyncio.Task[None]:
        # In no caller's context: it is not part of whatever step happened to come first.
        return Context().run(asyncio.get_running_loop().create_task, work)


def _with_connection(function: Callable[..., T], *args: Any) -> T:
    try:
        return function(*args)
    except (OperationalError, InterfaceError):
        connection.close()
        raise


_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, Limiter] = WeakKeyDictionary()


def limiter() -> Limiter:
    """Give the running event loop's limiter."""
    loop = asyncio.get_running_loop()
    found = _limiters.get(loop)
    if found is None:
        found = _limiters[loop] = Limiter()
    return found
