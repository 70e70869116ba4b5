"""The threads of one worker process, each with a connection of its own.

The event loop asks nothing of the database itself: whoever awaits an answer lets the other runs go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import connection

from agents.engine.connecting import bound_statements
from agents.engine.journal.store import Store, Unavailable
from agents.engine.outages import DATABASE_ERRORS, outage_of, outages

T = TypeVar("T")

STEP_THREADS = 32
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0


class WorkerThreads:
    """One thread for the journal's writes, one for reading histories, one for ORM code, some for plain functions."""

    def __init__(self, open_store: Callable[[], Store], *, patience: float) -> None:
        """Take stores from `open_store`; a statement of ORM code fails after `patience` seconds, as one of theirs does.

        A statement that hangs has to fail before others may take this worker for dead.
        """
        self.writer = open_store()
        self.reader = open_store()
        self.writing = ThreadPoolExecutor(1, "journal")
        self.steps = ThreadPoolExecutor(STEP_THREADS, "step")
        self.answered_at = 0.0
        """When, on the loop's clock, ORM code last had an answer of the database."""
        self.failed_at = float("-inf")
        """When, on the monotonic clock, it last had none."""
        self._reading = ThreadPoolExecutor(1, "history")
        self._chores = ThreadPoolExecutor(1, "chores", initializer=bound_statements, initargs=(patience,))

    async def read(self, function: Callable[..., T], *args: Any) -> T:
        """Call a method of `reader` on its thread, for as long as it takes the database to come back."""

        async def call() -> T:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._reading, function, *args)
            except Unavailable:
                self.reader.close()
                raise

        return await until_available("reading", call)

    async def chore(self, function: Callable[..., T], *args: Any) -> T:
        """Call ORM code, for as long as it takes the database to come back."""
        return await until_available("chores", lambda: self.once(function, *args))

    async def once(self, function: Callable[..., T], *args: Any) -> T:
        """Call ORM code; raises Unavailable when the database is away."""
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._chores, with_django, function, *args)
        except Unavailable:
            self.failed_at = time.monotonic()
            raise
        self.answered_at = loop.time()
        return answer

    def close(self) -> None:
        """Let go of the threads; each closes its own connection, as nobody else may."""
        closings = (
            (self.writing, self.writer.close),
            (self._reading, self.reader.close),
            (self._chores, lambda: connection.close()),  # the thread's own, not the one of this thread
        )
        for pool, close in closings:
            pool.submit(close)
            pool.shutdown(wait=False)
        self.steps.shutdown(wait=False, cancel_futures=True)


async def until_available(part: str, call: Callable[[], Awaitable[T]]) -> T:
    """Ask until the database answers; `part` is who asks, for the log."""
    pause = FIRST_PAUSE
    while True:
        try:
            answer = await call()
        except Unavailable as error:
            outages.failed(part, error.outage, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            outages.worked(part)
            return answer


def with_django(function: Callable[..., T], *args: Any) -> T:
    """Call ORM code; raises Unavailable when the database is away, and lets the next call open a new connection."""
    try:
        return function(*args)
    except DATABASE_ERRORS as error:
        outage = outage_of(error)
        if outage is None:
            raise
        connection.close()
        raise Unavailable(str(error), outage) from error
