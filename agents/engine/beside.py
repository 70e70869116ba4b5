"""What a worker process does for the product beside its runs: loops that the product binds, kept going.

They share the event loop with the runs and nothing else. One that fails is begun anew after a pause: a fault in the
delivery of webhooks is no reason to take the runs away from a worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from agents.engine.journal.store import Unavailable
from agents.engine.outages import DATABASE_ERRORS, outage_of, outages

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Worker:
    """The worker as its side loops see it. `is_draining` says that it takes nothing new; it stops before long."""

    worker_id: Callable[[], int]
    is_draining: Callable[[], bool]


SideLoop = Callable[[Worker], Coroutine[Any, Any, None]]
"""Works until it is cancelled. Many workers run it at the same time: what they share is claimed in the database."""


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
