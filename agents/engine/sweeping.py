"""What a worker does beside its own runs: timers that are due, workers that died, suspects that wait."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from uuid import UUID

from agents.engine import control, leases, pausing, reaping, trees, verdicts, waking
from agents.engine.admitting import Admissions
from agents.engine.journal.store import Unavailable
from agents.engine.outages import outages
from agents.engine.registry import known_workflows
from agents.engine.suspects import Patience
from agents.engine.turns import give_turns
from agents.engine.worker_settings import WorkerSettings
from agents.engine.worker_threads import WorkerThreads

logger = logging.getLogger(__name__)

FORGET_EVERY = 60.0
SHORTEST_PAUSE = 0.01


class Sweeper:
    """Sweeps once every `poll` seconds and when a timer is due; several workers may sweep at the same time."""

    def __init__(self, settings: WorkerSettings, threads: WorkerThreads, admissions: Admissions, *, queue: str) -> None:
        self._threads = threads
        self._admissions = admissions
        self._queue = queue
        self._every = settings.poll
        self._watched = reaping.Watched(settings.marks_folder, settings.watchdog)
        self._patience = Patience(settings.suspect_patience)
        self._forget_at = 0.0
        self._awaited: frozenset[UUID] = frozenset()
        self._soon = asyncio.Event()

    def has_left(self, run_id: UUID, *, frees_a_place: bool) -> None:
        """Hear that a run has left this worker: if others wait for that, look at once. Belongs to the loop."""
        if frees_a_place or run_id in self._awaited:
            self._soon.set()

    async def sweep_forever(
        self,
        *,
        worker_id: Callable[[], int],
        is_steady: Callable[[], bool],
        on_queued: Callable[[], None],
        step_aside: Callable[[], None],
    ) -> None:
        """Sweep until cancelled.

        `is_steady` says whether others' silence is their own fault; `on_queued` hears of runs that are due now;
        `step_aside` is called when suspects have waited too long for an empty worker and this one is to make room.
        """
        while True:
            pause = self._every
            try:
                queued, next_due = await self._sweep(silent_too=is_steady())
                if queued:
                    on_queued()
                if next_due is not None:
                    pause = min(pause, max(SHORTEST_PAUSE, next_due))
                if await self._threads.once(self._patience.is_worn_out, worker_id(), self._queue):
                    logger.warning("suspects wait for an empty worker: worker %s gives its runs back", worker_id())
                    step_aside()
                await self._forget()
                outages.worked("sweep")
            except Unavailable as error:
                outages.failed("sweep", error.outage, error)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._soon.wait()
            self._soon.clear()

    async def _sweep(self, *, silent_too: bool) -> tuple[int, float | None]:
        """Give how many runs were queued, and in how many seconds the next timer is due."""
        once = self._threads.once
        queued = await once(partial(reaping.reap, silent_too=silent_too, watched=self._watched))
        woken = await once(waking.wake_due)
        expired, next_expiry = await once(verdicts.expire_due)
        turns = await once(give_turns)
        self._awaited = turns.awaited
        placed = await self._admissions.sweep()
        await once(trees.end_overdue)
        claimable = await once(lambda: waking.wake_for_workflows(known_workflows()))
        upcoming = [due for due in (woken.next_due, next_expiry) if due is not None]
        return queued + woken.queued + expired + turns.given + placed + claimable, min(upcoming, default=None)

    async def _forget(self) -> None:
        if time.monotonic() > self._forget_at:
            self._forget_at = time.monotonic() + FORGET_EVERY
            await self._threads.once(leases.forget)
            await self._threads.once(control.cancel_left_over)
            await self._threads.once(pausing.pause_left_over)
