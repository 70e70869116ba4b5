"""A transaction that waits for the file looks every millisecond whether it is free.

SQLite has no queue of writers. Its own way of waiting looks ever less often, in the end every 100 ms, and a worker's
journal leaves the file free for a few milliseconds between two batches: a request met such a moment by luck only, and
one in a hundred took more than a second.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

GAP = 0.001
"""Seconds between two looks. A journal leaves the file free for three times as long."""
_PRIMARY_CODE = 0xFF

_first_in_line = threading.Lock()
"""Of a process's threads one looks, the others wait for their turn: all of them looking would fill a processor."""


def _renew_after_fork() -> None:
    global _first_in_line
    _first_in_line = threading.Lock()


# A thread that is not there in the child may have held it.
os.register_at_fork(after_in_child=_renew_after_fork)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to a SQLite file that many processes write to."""

    def _start_transaction_under_autocommit(self) -> None:
        """Begin; raises OperationalError when the file was not free for as long as the option `timeout` says.

        Always as a writer: a transaction that reads before it writes waits for its turn instead of failing half-way.
        """
        ends = time.monotonic() + float(self.settings_dict["OPTIONS"].get("timeout", 5.0))
        with _in_line(ends), self._without_patience():
            while True:
                try:
                    # Closed at once: an error leaves garbage that holds the cursor, and whichever thread clears that
                    # away has to wait for this connection. Had it the file meanwhile, each would wait for the other.
                    with self.cursor() as cursor:
                        cursor.execute("BEGIN IMMEDIATE")
                except OperationalError as error:
                    if not _is_busy(error) or time.monotonic() > ends:
                        raise
                else:
                    return
                time.sleep(GAP)

    @contextmanager
    def _without_patience(self) -> Iterator[None]:
        """Let the statements within answer at once."""
        connection: Any = self.connection
        (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
        connection.execute("PRAGMA busy_timeout=0")
        try:
            yield
        finally:
            connection.execute(f"PRAGMA busy_timeout={patience}")


@contextmanager
def _in_line(ends: float) -> Iterator[None]:
    lock = _first_in_line
    is_first = lock.acquire(timeout=max(0.0, ends - time.monotonic()))
    try:
        yield
    finally:
        if is_first:
            lock.release()


def _is_busy(error: OperationalError) -> bool:
    cause = error.__cause__
    return isinstance(cause, sqlite3.Error) and cause.sqlite_errorcode & _PRIMARY_CODE == sqlite3.SQLITE_BUSY
