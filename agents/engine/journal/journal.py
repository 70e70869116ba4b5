"""Group commit: what all runs of a process want to write at a moment becomes one transaction.

The runs' coroutines hand in changes on the event loop; one thread writes them. While a batch is being written, the
next one gathers. Whoever awaits a change is resolved when it is committed, never before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias
from uuid import UUID

from agents.engine.clock import Clock
from agents.engine.errors import LeaseLost
from agents.engine.journal.store import Store, Unavailable, Unwritable
from agents.engine.outages import Outage, outages
from agents.engine.records import (
    Answer,
    Batch,
    BatchResult,
    Change,
    Claimed,
    ClaimRequest,
    Committed,
    Finish,
    Postponed,
    Refused,
)

logger = logging.getLogger(__name__)

MAX_CHANGES = 250
"""Fewer than a worker has slots: while one batch is written, the loop works on the answers of the one before."""
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0


Lease: TypeAlias = tuple[UUID, int]
"""A run and the epoch in which this worker holds it. Changes of different epochs are never mixed: a worker that was
taken for dead may be given a run again that it has not let go of yet."""


@dataclass(slots=True)
class Entry:
    """A run's change that is gathering, and who waits for it. Once it is taken, nothing may be added to it."""

    change: Change
    waiters: list[asyncio.Future[Committed]] = field(default_factory=list)
    is_taken: bool = False

    @property
    def lease(self) -> Lease:
        return self.change.run_id, self.change.epoch


class Journal:
    """The journal of one worker process; all methods belong to its event loop."""

    def __init__(
        self,
        store: Store,
        worker_id: int,
        executor: Executor,
        clock: Clock,
        *,
        on_lost: Callable[[Lease], None] = lambda lease: None,
        on_told: Callable[[UUID], None] = lambda run_id: None,
    ) -> None:
        """Give a journal that writes to `store` on a thread of `executor`.

        `on_lost` hears of leases that are over, `on_told` of parents whose sub-run has just ended.
        """
        self.store = store
        self.worker_id = worker_id
        self.executor = executor
        self.clock = clock
        self.on_lost = on_lost
        self.on_told = on_told
        self.batches_written = 0
        self.attempt_began: float | None = None
        """Since when, on the loop's clock, an answer of the database is waited for."""
        self.outage: Outage | None = None
        """What keeps the present batch from being written."""
        self._entries: dict[Lease, Entry] = {}
        self._refused: dict[Lease, Unwritable] = {}
        self._claim: tuple[ClaimRequest, asyncio.Future[list[Claimed]]] | None = None
        self._number = 0
        self._dirty = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def entry_of(self, lease: Lease, make: Callable[[], Change]) -> Entry:
        """Give the gathering change of a run, to add to until it is taken; it rides the next batch."""
        entry = self._entries.get(lease)
        if entry is None:
            entry = self._entries[lease] = Entry(make())
            self._wake()
        return entry

    def committed(self, lease: Lease) -> asyncio.Future[Committed]:
        """Give a future for the commit of the run's gathering change.

        It raises LeaseLost when another worker holds the run, Unwritable when the database refuses a value.
        """
        future: asyncio.Future[Committed] = self._loop.create_future()
        if refused := self._refused.pop(lease, None):
            # Of an earlier change that nobody awaited: this one may build on what is not there.
            future.set_exception(refused)
        else:
            self._entries[lease].waiters.append(future)
        return future

    def discard(self, lease: Lease) -> None:
        """Drop what is gathering for a run that this worker no longer holds."""
        self._refused.pop(lease, None)
        if entry := self._entries.pop(lease, None):
            entry.is_taken = True
            _fail(entry, LeaseLost())

    async def claim(self, request: ClaimRequest) -> list[Claimed]:
        """Take up to `limit` queued runs, in the next batch. One call at a time."""
        assert self._claim is None, "one claim at a time"
        future: asyncio.Future[list[Claimed]] = self._loop.create_future()
        self._claim = (request, future)
        self._wake()
        return await future

    @property
    def is_busy(self) -> bool:
        """Whether something waits to be written or is being written."""
        return not self._idle.is_set()

    async def flushed(self) -> None:
        """Wait until nothing is gathering or being written."""
        await self._idle.wait()

    async def write_forever(self) -> None:
        """Write batch after batch until cancelled."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            entries = self._take()
            claim, self._claim = self._claim, None
            if entries or claim:
                await self._write(entries, claim)
            if self._entries or self._claim:
                self._dirty.set()
            else:
                self._idle.set()

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """The loop that this belongs to. To ask for the running one is a system call each time."""
        return asyncio.get_running_loop()

    def _wake(self) -> None:
        self._dirty.set()
        self._idle.clear()

    def _take(self) -> list[Entry]:
        if len(self._entries) <= MAX_CHANGES:
            entries, self._entries = list(self._entries.values()), {}
            return entries
        leases = list(self._entries)[:MAX_CHANGES]
        return [self._entries.pop(lease) for lease in leases]

    async def _write(
        self, entries: list[Entry], claim: tuple[ClaimRequest, asyncio.Future[list[Claimed]]] | None
    ) -> None:
        self._number += 1
        for entry in entries:
            entry.is_taken = True
            for step in entry.change.steps.values():
                step.settle_storage()
        batch = Batch(self._number, [entry.change for entry in entries], claim[0] if claim else None)
        try:
            result = await self._commit(batch)
        except Unwritable as error:
            self._note_answer()
            await self._bisect(entries, claim, error)
            return
        self._note_answer()
        self.batches_written += 1
        if claim and not claim[1].done():
            claim[1].set_result(result.claimed)
        for entry, answer in zip(entries, result.answers, strict=True):
            self._hand_out(entry, answer)
        if any(isinstance(answer, Postponed) for answer in result.answers):
            # The row is held by somebody for a moment (a cancel, another batch): do not spin on it.
            await asyncio.sleep(0.002)

    def _hand_out(self, entry: Entry, answer: Answer) -> None:
        match answer:
            case Committed():
                for step in entry.change.steps.values():
                    step.is_stored = True
                for waiter in entry.waiters:
                    if not waiter.done():
                        waiter.set_result(answer)
                if entry.change.parent_id is not None and isinstance(entry.change.ending, Finish):
                    self.on_told(entry.change.parent_id)
            case Refused():
                _fail(entry, LeaseLost())
                self.on_lost(entry.lease)
            case Postponed():
                self._put_back(entry)

    async def _commit(self, batch: Batch) -> BatchResult:
        """Write a batch, for as long as it takes the database to come back."""
        loop = self._loop
        pause = FIRST_PAUSE
        while True:
            self.attempt_began = loop.time()
            try:
                result: BatchResult | None = await loop.run_in_executor(
                    self.executor, self.store.write, self.worker_id, batch, self.clock.now()
                )
            except Unavailable as error:
                self.outage = error.outage
                outages.failed("journal", error.outage, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                result = await loop.run_in_executor(self.executor, self._already_written, batch)
            finally:
                self.attempt_began = None
            if result is not None:
                return result

    def _note_answer(self) -> None:
        self.outage = None
        outages.worked("journal")

    def _already_written(self, batch: Batch) -> BatchResult | None:
        """After a lost answer: if the batch stands in the tables, its result is what was about to be committed."""
        try:
            self.store.close()
            is_written = self.store.last_batch(self.worker_id) == batch.number
        except Unavailable:
            return None
        return self.store.attempted if is_written else None

    async def _bisect(
        self,
        entries: list[Entry],
        claim: tuple[ClaimRequest, asyncio.Future[list[Claimed]]] | None,
        error: Unwritable,
    ) -> None:
        """Find the change that the database refuses, so that only its own step fails."""
        if claim and not claim[1].done():
            claim[1].set_result([])
        if len(entries) == 1:
            logger.error("a value of run %s was refused: %s", entries[0].change.run_id, error)
            self._refuse(entries[0], error)
            return
        middle = len(entries) // 2
        await self._write(entries[:middle], None)
        await self._write(entries[middle:], None)

    def _refuse(self, entry: Entry, error: Unwritable) -> None:
        """Tell the change's run; if nobody awaits this change, then whoever awaits the next one."""
        if not entry.waiters:
            lease = entry.lease
            if (newer := self._entries.get(lease)) and newer.waiters:
                entry = self._entries.pop(lease)
                entry.is_taken = True
            else:
                self._refused[lease] = error
        _fail(entry, error)

    def _put_back(self, entry: Entry) -> None:
        newer = self._entries.get(entry.lease)
        if newer is None:
            entry.is_taken = False
            self._entries[entry.lease] = entry
            return
        # The run may still be adding to the newer one.
        entry.change.absorb(newer.change)
        newer.change = entry.change
        newer.waiters = entry.waiters + newer.waiters


def _fail(entry: Entry, error: Exception) -> None:
    for waiter in entry.waiters:
        if not waiter.done():
            waiter.set_exception(error)
