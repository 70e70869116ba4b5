"""Database errors that nobody's statement or value is to blame for: the database as a whole does not serve.

This is the one place that tells them from the others, for the workers, the web and the API alike. Whoever meets one
waits and tries again, or tells the client when to come again; nothing is recorded as failed because of it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from enum import Enum

import psycopg
from django import db

logger = logging.getLogger(__name__)

REMIND_SECONDS = 60.0
DATABASE_ERRORS = (db.Error, psycopg.Error, sqlite3.Error)
"""What the database's libraries raise. Django's InterfaceError is no DatabaseError: to catch that alone is a trap."""


class Outage(Enum):
    """How the database fails its users; `text` says it to people, `retry_seconds` when to come again."""

    AWAY = "The database can't be reached.", 5
    CROWDED = "The database takes no more connections.", 5
    BUSY = "The database did not get to this in time.", 2
    FULL = "The disk of the database is full. An operator has to make room.", 30
    READ_ONLY = "The database takes no changes at present. An operator has to look at it.", 30
    BROKEN = "The disk or the memory of the database's machine fails. An operator has to look at it.", 30
    UNPREPARED = "The tables are of another version of agentsite. `agentsite prepare` brings them up to date.", 30

    def __init__(self, text: str, retry_seconds: int) -> None:
        self.text = text
        self.retry_seconds = retry_seconds

    @property
    def hits_everybody(self) -> bool:
        """Whether another worker could do no better: then there is no point in taking runs away from this one."""
        return self in (Outage.FULL, Outage.READ_ONLY, Outage.BROKEN, Outage.UNPREPARED)


# By SQLSTATE or its beginning; the longest that fits counts. None: the statement or a value of it is at fault.
_POSTGRES: dict[str, Outage | None] = {
    "08": Outage.AWAY,
    "25006": Outage.READ_ONLY,
    "40": Outage.BUSY,
    "42501": Outage.READ_ONLY,
    "42703": Outage.UNPREPARED,
    "42P01": Outage.UNPREPARED,
    "53": Outage.BROKEN,
    "53100": Outage.FULL,
    "53300": Outage.CROWDED,
    # A limit of the program, like the size of an index entry, is met again at every try.
    "54": None,
    "55P03": Outage.BUSY,
    "57": Outage.AWAY,
    "57014": Outage.BUSY,
    "58": Outage.BROKEN,
    "XX": Outage.BROKEN,
}
# A connection that is refused has no SQLSTATE, only the server's words.
_REFUSALS = {
    "too many": Outage.CROWDED,
    "connection slots are reserved": Outage.CROWDED,
    "No space left": Outage.FULL,
}
_SQLITE = {
    sqlite3.SQLITE_BUSY: Outage.BUSY,
    sqlite3.SQLITE_LOCKED: Outage.BUSY,
    sqlite3.SQLITE_INTERRUPT: Outage.BUSY,
    sqlite3.SQLITE_PROTOCOL: Outage.BUSY,
    sqlite3.SQLITE_READONLY: Outage.READ_ONLY,
    sqlite3.SQLITE_PERM: Outage.READ_ONLY,
    sqlite3.SQLITE_FULL: Outage.FULL,
    sqlite3.SQLITE_NOMEM: Outage.BROKEN,
    sqlite3.SQLITE_IOERR: Outage.BROKEN,
    sqlite3.SQLITE_CORRUPT: Outage.BROKEN,
    sqlite3.SQLITE_NOTADB: Outage.BROKEN,
    sqlite3.SQLITE_CANTOPEN: Outage.AWAY,
}


def outage_of(error: BaseException) -> Outage | None:
    """Tell which outage an error of Django's, psycopg's or sqlite3's is; None for all other errors."""
    if not isinstance(error, DATABASE_ERRORS):
        return None
    origin = error.__cause__ if isinstance(error, db.Error) and error.__cause__ is not None else error
    if isinstance(origin, psycopg.Error):
        return _of_postgres(origin)
    if isinstance(origin, sqlite3.Error):
        return _of_sqlite(origin)
    return Outage.AWAY if isinstance(origin, db.OperationalError | db.InterfaceError) else None


def _of_postgres(error: psycopg.Error) -> Outage | None:
    state = error.sqlstate or ""
    for length in (5, 2):
        if state[:length] in _POSTGRES:
            return _POSTGRES[state[:length]]
    # InternalError: the session was ended for idling in its transaction, as after a SIGSTOP.
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | psycopg.InternalError):
        return None
    return next((outage for words, outage in _REFUSALS.items() if not state and words in str(error)), Outage.AWAY)


def _of_sqlite(error: sqlite3.Error) -> Outage | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code == sqlite3.SQLITE_ERROR and any(words in str(error) for words in ("no such table", "column")):
        return Outage.UNPREPARED
    # The low byte is the kind, the rest says where.
    return _SQLITE.get(code & 0xFF)


class OutageLog:
    """Tells the log of a process once that the database fails, and once that it works again.

    The parts of a process try again each on their own; none of them is worth a line for each try. All methods may be
    called from any thread.
    """

    def __init__(self) -> None:
        self._failing: set[str] = set()
        self._since = 0.0
        self._told: dict[Outage, float] = {}
        self._lock = threading.Lock()

    @property
    def is_quiet(self) -> bool:
        """Whether no part is failing."""
        return not self._failing

    def failed(self, part: str, outage: Outage, reason: object) -> None:
        """A part of the process has met an outage, and will try again."""
        now = time.monotonic()
        with self._lock:
            if not self._failing:
                self._since = now
            self._failing.add(part)
            if now - self._told.get(outage, float("-inf")) < REMIND_SECONDS:
                return
            self._told[outage] = now
        words = " ".join(str(reason).split())
        logger.warning("%s It is tried again until it works (%s: %s)", outage.text, part, words)

    def worked(self, part: str) -> None:
        """A part of the process has used the database; costs next to nothing while all is well."""
        if part not in self._failing:
            return
        with self._lock:
            self._failing.discard(part)
            if self._failing:
                return
            seconds = time.monotonic() - self._since
            was_told = any(told >= self._since for told in self._told.values())
        if was_told:
            logger.warning("The database works again, after %.1f s", seconds)


outages = OutageLog()
"""The one of this process."""
