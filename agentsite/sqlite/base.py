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
from django.db.backends.utils import debug_transaction

GAP = 0.001
"""Seconds between two looks. A journal leaves the file free for three times as long."""
BEGIN = "BEGIN IMMEDIATE"
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
        self.validate_thread_sharing()
        with (
            self.wrap_database_errors,
            debug_transaction(self, BEGIN),
            _in_line(ends),
            self._without_patience(),
        ):
            while not self._has_begun(may_wait=time.monotonic() <= ends):
                time.sleep(GAP)

    def _has_begun(self, *, may_wait: bool) -> bool:
        """Begin if the file is free; if it is not, tell so, or raise what SQLite says once nobody waits any more."""
        # Not by a cursor of Django's: each of its errors is a circle of frames, which stays for the collector. At one a
        # millisecond that is 3 MB a second for as long as no collection ends, and a collection that comes to a cursor
        # has to wait for its connection, which is held while that waits for the file.
        connection: Any = self.connection
        try:
            connection.execute(BEGIN)
        except sqlite3.OperationalError as error:
            if may_wait and error.sqlite_errorcode & _PRIMARY_CODE == sqlite3.SQLITE_BUSY:
                return False
            raise
        return True

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
