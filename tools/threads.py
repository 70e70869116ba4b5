"""The bounded thread pool in which tools written as ordinary functions run.

A tool that blocks must not stop the event loop that drives hundreds of runs; a hundred that block must not start a
hundred threads. Calls beyond the pool's size wait for their turn within their own timeout.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import ParamSpec, Protocol, TypeVar

from django.db import close_old_connections

MAX_THREADS = 16

P = ParamSpec("P")
T = TypeVar("T")


class Around(Protocol):
    """Calls a function in a thread of the pool, and gives its result."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


def _plainly(call: Callable[[], T], /) -> T:
    return call()


_around: Around = _plainly


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=MAX_THREADS, thread_name_prefix="tool")


# A pool from before a fork has no threads in the child: it makes its own.
os.register_at_fork(after_in_child=_pool.cache_clear)


async def run_in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in the pool, with the caller's context variables."""
    call = partial(contextvars.copy_context().run, _with_fresh_connections, partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_pool(), call)


def surround(around: Around) -> None:
    """Have each call in the pool made by `around`, which must call what it is given, in the context of the caller."""
    global _around
    _around = around


def _with_fresh_connections(call: Callable[[], T]) -> T:
    # Django closes broken connections at the border of requests; a pool's thread knows no requests.
    close_old_connections()
    try:
        return _around(call)
    finally:
        close_old_connections()
