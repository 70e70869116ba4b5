"""The bounded thread pool in which tools written as ordinary functions run, and the one thread in which is computed.

A tool that blocks must not stop the event loop that drives hundreds of runs; a hundred that block must not start a
hundred threads. Calls beyond the pool's size wait for their turn within their own timeout.

What computes is another matter: it holds the interpreter, which the event loop and the journal's thread ask for again
after each word from the database. One that computes makes them wait a little each time, six make them wait for all six.
So those of a process take turns.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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


@cache
def _computing_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="compute")


@cache
def _turn() -> threading.Lock:
    return threading.Lock()


def _forget_threads() -> None:
    for made in (_pool, _computing_thread, _turn):
        made.cache_clear()


# A pool from before a fork has no threads in the child: it makes its own.
os.register_at_fork(after_in_child=_forget_threads)


async def run_in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in the pool, with the caller's context variables."""
    call = partial(contextvars.copy_context().run, _with_fresh_connections, partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_pool(), call)


@contextmanager
def computing() -> Iterator[None]:
    """Have the process's turn to compute, in whatever thread; not on an event loop, as it may have to be waited for."""
    with _turn():
        yield


async def compute(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that computes for more than some milliseconds, when it is its turn."""

    def call() -> T:
        with computing():
            return function(*args, **kwargs)

    return await asyncio.get_running_loop().run_in_executor(_computing_thread(), call)


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
