"""A worker's place among the workers: its row, its heartbeat, the time for which its leases hold."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from agents.engine import database_clock, leases
from agents.engine.clock import WorkerClock
from agents.engine.journal.journal import Journal
from agents.engine.journal.store import Unavailable
from agents.engine.outages import outages
from agents.engine.worker_settings import WorkerSettings
from agents.engine.worker_threads import WorkerThreads

logger = logging.getLogger(__name__)

LAST_ANSWER = 2.0
"""Seconds that a worker which is told to stop waits for the answer to its registration."""


class Membership:
    """Registers the worker of `journal` and keeps it alive.

    `held` gives the runs that this process knows it holds; `abandon` is called when others declared it dead.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        threads: WorkerThreads,
        journal: Journal,
        clock: WorkerClock,
        *,
        queue: str,
        held: Callable[[], set[UUID]],
        abandon: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._threads = threads
        self._journal = journal
        self._clock = clock
        self._queue = queue
        self._held = held
        self._abandon = abandon
        self._unknown: set[UUID] = set()
        self._lease_until = 0.0
        self._steady_since = 0.0

    @property
    def lease_left(self) -> float:
        """The seconds for which the lease surely still holds; below zero when it is over."""
        return self._lease_until - time.monotonic()

    @property
    def is_steady(self) -> bool:
        """Whether this worker has been heard without a gap for a lease, and has always reached the database.

        Just back from an outage, the silence of others is the outage's.
        """
        since = max(self._steady_since, self._threads.failed_at)
        return time.monotonic() - since > self._settings.lease

    async def register(self, stopping: asyncio.Task[Any]) -> bool:
        """Register, for as long as it takes the database to be there; False if the worker is to stop before."""
        registering = asyncio.create_task(self._register())
        await asyncio.wait([stopping, registering], return_when=asyncio.FIRST_COMPLETED)
        if not registering.done():
            # The row may be written at this moment: then the worker takes leave like any other.
            await asyncio.wait([registering], timeout=LAST_ANSWER)
        if registering.done():
            registering.result()
            return True
        registering.cancel()
        return False

    async def beat_forever(self) -> None:
        """Send heartbeats as long as the journal moves."""
        written = -1
        is_quiet = False
        while True:
            await asyncio.sleep(self._settings.heartbeat)
            is_stuck = self._journal.batches_written == written and self._journal.is_busy
            written = self._journal.batches_written
            outage = self._journal.outage
            # Alive means moving: a worker whose journal is stuck must not keep its runs. Unless nobody else could write
            # either: then they are safest where their outcomes wait to be written.
            if is_stuck and (outage is None or not outage.hits_everybody):
                if not is_quiet and outage is None:
                    logger.warning("no heartbeat as long as the journal does not move")
                is_quiet = True
                continue
            is_quiet = False
            try:
                await self._beat()
            except Unavailable as error:
                outages.failed("heartbeat", error.outage, error)
            else:
                outages.worked("heartbeat")

    async def _beat(self) -> None:
        began = time.monotonic()
        worker_id, busy = self._journal.worker_id, len(self._held())
        if not await self._threads.once(lambda: leases.heartbeat(worker_id, busy=busy)):
            logger.error("worker %s was declared dead; it abandons its runs and registers anew", worker_id)
            self._abandon()
            await self._register()
            return
        if began > self._lease_until:
            self._steady_since = began
        self._lease_until = began + self._settings.lease
        self._clock.set(await self._threads.once(database_clock.database_now))
        await self._release_unknown()

    async def _release_unknown(self) -> None:
        """Give back what the tables say we hold and we know nothing of: a claim whose answer was lost.

        An answer may just be on its way, so only what was unknown at the last heartbeat too is given back.
        """
        worker_id = self._journal.worker_id
        unknown = set(await self._threads.once(leases.held_runs, worker_id)) - self._held()
        if lost := unknown & self._unknown:
            await self._threads.once(leases.release_runs, worker_id, lost)
        self._unknown = unknown

    async def _register(self) -> None:
        began = time.monotonic()
        settings = self._settings
        worker = await self._threads.chore(
            lambda: leases.register_worker(
                queue=self._queue, slots=settings.slots, lease=settings.lease, host=settings.host
            )
        )
        self._journal.worker_id = worker.pk
        self._lease_until = began + settings.lease
        self._clock.set(await self._threads.chore(database_clock.database_now))
