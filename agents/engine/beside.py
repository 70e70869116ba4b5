"""What a worker process does for the product beside its runs: loops that the product binds, kept going.

They share the event loop with the runs and nothing else. One that fails is begun anew after a pause: a fault in the
delivery of webhooks is no reason to take the runs away from a worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from agents.engine.connecting import bound_statements
from agents.engine.journal.store import Unavailable
from agents.engine.outages import DATABASE_ERRORS, outage_of, outages
from agents.engine.worker_threads import with_django

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Worker:
    """The worker as one of its side loops sees it. `is_draining` says that it takes nothing new; it stops before long.

    `news` is set whenever the worker is told that the database changed. `poke` lets it look for due runs at once,
    `patience` are the seconds after which a statement of the loop's own is to give up.
    """

    worker_id: Callable[[], int]
    is_draining: Callable[[], bool]
    poke: Callable[[], None] = lambda: None
    patience: float = 4.0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait_for_news(self, seconds: float) -> None:
        """Wait until there is news, or for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self.news.wait()
        self.news.clear()


SideLoop = Callable[[Worker], Coroutine[Any, Any, None]]
"""Works until it is cancelled. Many workers run it at the same time: what they share is claimed in the database."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a round of work has done: whether runs were started, and in how many seconds the next one is due."""

    has_started_runs: bool = False
    next_due: float | None = None


def in_rounds(work: Callable[[], Round], *, every: float = 1.0, gap: float = 0.02) -> SideLoop:
    """Give the loop that does `work`, ORM code, on a thread of its own: every so many seconds, when it is due, at news.

    However much news there is, `gap` seconds lie between two rounds.
    """

    async def loop(worker: Worker) -> None:
        thread = ThreadPoolExecutor(1, "beside", initializer=bound_statements, initargs=(worker.patience,))
        try:
            while True:
                if worker.is_draining():
                    await asyncio.sleep(every)
                    continue
                done = await asyncio.get_running_loop().run_in_executor(thread, with_django, work)
                if done.has_started_runs:
                    worker.poke()
                await asyncio.sleep(gap)
                await worker.wait_for_news(every - gap if done.next_due is None else min(every, done.next_due) - gap)
        finally:
            # The thread's own connection, which nobody else may close.
            thread.submit(lambda: connection.close())
            thread.shutdown(wait=False)

    return loop


async def keep_going(loop: SideLoop, worker: Worker, name: str) -> None:
    """Run a side loop until cancelled, whatever becomes of it."""
    pause = FIRST_PAUSE
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await loop(worker)
            logger.error("the side loop %s of the worker ended by itself", name)
        except Unavailable as error:
            outages.failed(name, error.outage, error)
        except DATABASE_ERRORS as error:
            _report(name, error)
        except Exception:
            logger.exception("the side loop %s of the worker failed", name)
        if asyncio.get_running_loop().time() - began > LONGEST_PAUSE:
            pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _report(name: str, error: Exception) -> None:
    outage = outage_of(error)
    if outage is None:
        logger.error("the side loop %s of the worker failed", name, exc_info=error)
    else:
        outages.failed(name, outage, error)
