"""What a worker process does beside its runs, on an event loop of its own: fire schedules, look at the outside.

It shares neither loop nor database connection with the driver: what is slow here holds up no run and no heartbeat.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from django.db import connection

from agents.engine.connecting import bound_statements
from agents.engine.journal.store import Unavailable
from agents.engine.outages import outages
from agents.engine.worker_threads import with_django

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
POKE_GAP = 0.2
"""Seconds between two looks at the database that others' pokes bring about: where runs come and go, they are many."""
STOP_SECONDS = 5.0


class Desk:
    """What a duty works with: ORM code on a thread of its own, and rest until it is time or somebody pokes."""

    def __init__(self, name: str, patience: float) -> None:
        self.name = name
        self._poked = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, name, initializer=bound_statements, initargs=(patience,))

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call ORM code; raises Unavailable when the database is away."""
        answer = await asyncio.get_running_loop().run_in_executor(self._thread, with_django, function, *args)
        outages.worked(self.name)
        return answer

    async def rest(self, seconds: float) -> None:
        """Wait for so long, or until a poke; never shorter than POKE_GAP, if not so many seconds are asked for."""
        if seconds > POKE_GAP:
            await asyncio.sleep(POKE_GAP)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds - POKE_GAP):
                    await self._poked.wait()
        else:
            await asyncio.sleep(seconds)
        self._poked.clear()

    def poke(self) -> None:
        """End the rest. Belongs to the loop."""
        self._poked.set()

    def close(self) -> None:
        """Let go of the thread, which closes its own connection."""
        self._thread.submit(lambda: connection.close())
        self._thread.shutdown(wait=False)


Duty = Callable[[Desk], Coroutine[Any, Any, None]]
"""Goes on for ever. What it raises is logged, and it begins anew."""


class Background:
    """Carries out duties in a thread until it is stopped."""

    def __init__(self, duties: dict[str, Duty], *, patience: float) -> None:
        """Take the duties by name; a statement of theirs fails after `patience` seconds."""
        self._duties = duties
        self._patience = patience
        self._desks: list[Desk] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="background", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def poke(self) -> None:
        """Have all duties look whether there is something to do."""
        if self._loop is not None and not self._loop.is_closed():
            with suppress(RuntimeError):  # It was closed at this moment.
                self._loop.call_soon_threadsafe(self._poke)

    def stop(self) -> None:
        """End all duties; returns when they have ended, or after STOP_SECONDS."""
        self._is_stopped.set()
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_SECONDS)

    def _poke(self) -> None:
        for desk in self._desks:
            desk.poke()

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        self._desks = [Desk(name, self._patience) for name in self._duties]
        tasks = [asyncio.create_task(_keep(self._duties[desk.name], desk)) for desk in self._desks]
        self._loop = asyncio.get_running_loop()
        if not self._is_stopped.is_set():
            await self._stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for desk in self._desks:
            desk.close()


async def _keep(duty: Duty, desk: Desk) -> None:
    """Carry a duty out again and again."""
    pause = FIRST_PAUSE
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await duty(desk)
        except Unavailable as error:
            outages.failed(desk.name, error.outage, error)
        except Exception:
            logger.exception("%s failed, and begins anew", desk.name)
        if asyncio.get_running_loop().time() - began > LONGEST_PAUSE:
            pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
