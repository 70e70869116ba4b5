"""Which errors are outages of the database, and what its log says of them."""

from __future__ import annotations

import logging
import sqlite3

import psycopg
import pytest
from django import db

from agents.engine.outages import Outage, OutageLog, outage_of


def postgres(state: str) -> psycopg.Error:
    return psycopg.errors.lookup(state)("something happened")


def of_django(kind: type[db.Error], cause: Exception) -> db.Error:
    """Give an error as Django wraps it."""
    error = kind("something happened")
    error.__cause__ = cause
    return error


def sqlite(code: int, text: str = "something happened") -> sqlite3.Error:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("state", "outage"),
    [
        ("08006", Outage.AWAY),
        ("57P01", Outage.AWAY),
        ("57P03", Outage.AWAY),
        ("25P03", Outage.AWAY),
        ("53300", Outage.CROWDED),
        ("53100", Outage.FULL),
        ("53200", Outage.BROKEN),
        ("58030", Outage.BROKEN),
        ("40001", Outage.BUSY),
        ("40P01", Outage.BUSY),
        ("55P03", Outage.BUSY),
        ("57014", Outage.BUSY),
        ("25006", Outage.READ_ONLY),
        ("42P01", Outage.UNPREPARED),
        ("23505", None),
        ("22P05", None),
        ("42601", None),
        # An index entry that is too large is so at every try, although psycopg calls it operational.
        ("54000", None),
    ],
)
def test_what_postgresql_says(state: str, outage: Outage | None) -> None:
    error = postgres(state)
    assert outage_of(error) is outage
    assert outage_of(of_django(db.DatabaseError, error)) is outage


@pytest.mark.parametrize(
    ("text", "outage"),
    [
        ("connection failed: FATAL:  sorry, too many clients already", Outage.CROWDED),
        ('connection failed: FATAL:  too many connections for role "product"', Outage.CROWDED),
        ("FATAL:  remaining connection slots are reserved for superusers", Outage.CROWDED),
        ('connection to server at "10.0.0.1", port 5432 failed: Connection refused', Outage.AWAY),
    ],
)
def test_a_refused_connection_has_only_words(text: str, outage: Outage) -> None:
    assert outage_of(psycopg.OperationalError(text)) is outage


@pytest.mark.parametrize(
    ("code", "outage"),
    [
        (sqlite3.SQLITE_BUSY, Outage.BUSY),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Outage.BUSY),
        (sqlite3.SQLITE_FULL, Outage.FULL),
        (sqlite3.SQLITE_IOERR_WRITE, Outage.BROKEN),
        (sqlite3.SQLITE_READONLY_DBMOVED, Outage.READ_ONLY),
        (sqlite3.SQLITE_CANTOPEN, Outage.AWAY),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, None),
        (sqlite3.SQLITE_TOOBIG, None),
        (sqlite3.SQLITE_ERROR, None),
    ],
)
def test_what_sqlite_says(code: int, outage: Outage | None) -> None:
    error = sqlite(code)
    assert outage_of(error) is outage
    assert outage_of(of_django(db.OperationalError, error)) is outage


def test_tables_of_another_version() -> None:
    assert outage_of(sqlite(sqlite3.SQLITE_ERROR, "no such table: agents_run")) is Outage.UNPREPARED


def test_other_errors_are_none() -> None:
    assert outage_of(ValueError("something happened")) is None
    # Even if they came of one: whoever turned it into another error meant it.
    error = ValueError("something happened")
    error.__cause__ = postgres("08006")
    assert outage_of(error) is None
    assert outage_of(db.InterfaceError("connection already closed")) is Outage.AWAY


def test_one_line_when_it_fails_and_one_when_it_works(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    log = OutageLog()
    log.worked("journal")
    for _ in range(10):
        log.failed("journal", Outage.AWAY, "connection refused")
        log.failed("heartbeat", Outage.AWAY, "connection refused")
    assert len(caplog.messages) == 1
    assert "journal: connection refused" in caplog.messages[0]
    were_quiet = []
    for part in ("heartbeat", "journal"):
        log.worked(part)
        were_quiet.append(log.is_quiet)
    assert were_quiet == [False, True]
    assert len(caplog.messages) == 2
    assert "works again" in caplog.messages[1]
    # One that comes and goes fills no log; another kind is news.
    log.failed("journal", Outage.AWAY, "connection refused")
    log.worked("journal")
    assert len(caplog.messages) == 2
    log.failed("journal", Outage.FULL, "No space left on device")
    assert len(caplog.messages) == 3
