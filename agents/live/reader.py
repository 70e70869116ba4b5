"""Short database reads for asynchronous code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from agents.engine.outages import DATABASE_ERRORS

P = ParamSpec("P")
T = TypeVar("T")


async def read_once(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a rare read on a thread that keeps nothing afterwards."""

    def read_and_close() -> T:
        try:
            return read(*args, **kwargs)
        finally:
            connections.close_all()

    return await sync_to_async(read_and_close, thread_sensitive=False)()


class Reader:
    """A few threads that each keep one connection: opening one for every read would cost more than the read."""

    def __init__(self, threads: int = 3) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="live")
        self._connections: set[BaseDatabaseWrapper] = set()

    async def __call__(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the read on one of the threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: self._read(read, *args, **kwargs))

    def _read(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        wrapper = connections[DEFAULT_DB_ALIAS]
        self._connections.add(wrapper)
        try:
            return read(*args, **kwargs)
        except DATABASE_ERRORS:
            # Whatever it was, the next read shall not inherit a broken connection.
            wrapper.close()
            raise

    async def aclose(self) -> None:
        """Let the threads finish and close their connections."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._threads.shutdown()
        for wrapper in self._connections:
            # Its thread has ended.
            wrapper.inc_thread_sharing()
            wrapper.close()
        self._connections.clear()
