"""A transaction that waits for a SQLite file which somebody else nearly always writes to."""

from __future__ import annotations

import gc
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.db import OperationalError
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

HELD, FREE = 0.06, 0.004
TURNS = 20


@dataclass
class Writer:
    """Writes batch after batch as a worker's journal does, and counts them."""

    path: Path
    batches: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def write(self) -> None:
        with closing(sqlite3.connect(self.path, timeout=10.0, isolation_level=None)) as file:
            while not self.is_over.is_set():
                file.execute("BEGIN IMMEDIATE")
                time.sleep(HELD)
                file.execute("COMMIT")
                self.batches += 1
                time.sleep(FREE)


@pytest.fixture
def path(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Path]:
    """Give a file of this test's own, so that the tests' database is not needed."""
    made = tmp_path / "busy.sqlite3"
    with closing(sqlite3.connect(made)) as file:
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("CREATE TABLE notes (text TEXT)")
    with django_db_blocker.unblock():
        yield made


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    made = Writer(path)
    thread = threading.Thread(target=made.write)
    thread.start()
    yield made
    made.is_over.set()
    thread.join()


def write_note(path: Path, timeout: float = 10.0) -> None:
    """Write a row in a transaction, over a connection of our own."""
    options = {"timeout": timeout}
    handler = ConnectionHandler({"default": {"ENGINE": "agentsite.sqlite", "NAME": str(path), "OPTIONS": options}})
    connection = handler["default"]
    try:
        # As `atomic` begins.
        connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
        connection.cursor().execute("INSERT INTO notes VALUES ('here')")
        connection.commit()
    finally:
        connection.close()


def count_notes(path: Path) -> int:
    with closing(sqlite3.connect(path)) as file:
        (count,) = file.execute("SELECT count(*) FROM notes").fetchone()
    return int(count)


def test_a_transaction_finds_the_moment_in_which_the_file_is_free(path: Path, writer: Writer) -> None:
    before = writer.batches
    for _ in range(TURNS):
        write_note(path)
    # SQLite's own way of waiting lets more batches than that pass for each.
    assert writer.batches - before < 3 * TURNS
    assert count_notes(path) == TURNS


def test_many_threads_take_turns(path: Path, writer: Writer) -> None:
    with ThreadPoolExecutor(TURNS) as threads:
        list(threads.map(lambda _: write_note(path), range(TURNS)))
    assert count_notes(path) == TURNS


def test_it_gives_up_in_the_end(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"):
            write_note(path, timeout=0.05)
        file.execute("ROLLBACK")
    write_note(path, timeout=0.05)


def test_who_clears_away_garbage_waits_for_nobody_who_waits_for_the_file(path: Path) -> None:
    """A cursor in the garbage would be taken from its connection, which is held while that waits in a statement."""
    options = {"timeout": 0.1}
    handler = ConnectionHandler({"default": {"ENGINE": "agentsite.sqlite", "NAME": str(path), "OPTIONS": options}})
    is_waiting, refused = threading.Event(), []

    def write() -> None:
        connection = handler["default"]
        with suppress(OperationalError):
            connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
        connection.set_autocommit(True)
        with closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA busy_timeout=3000")
            is_waiting.set()
            try:
                cursor.execute("INSERT INTO notes VALUES ('here')")
            except OperationalError as error:
                refused.append(error)
        connection.close()

    other = threading.Thread(target=write)
    gc.disable()
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")
            other.start()
            assert is_waiting.wait(20)
            # It is in its statement soon.
            time.sleep(0.2)
            gc.collect()
            file.execute("COMMIT")
        other.join(20)
    finally:
        gc.enable()
    assert not refused
    assert count_notes(path) == 1


def test_waiting_leaves_nothing_for_the_collector(path: Path) -> None:
    """A collection may be long in coming, and all that while it would gather: one wait makes a thousand a second."""
    opened = ConnectionHandler(
        {"default": {"ENGINE": "agentsite.sqlite", "NAME": str(path), "OPTIONS": {"timeout": 0}}}
    )
    connection = opened["default"]

    def garbage_of_a_wait(seconds: float) -> int:
        connection.settings_dict["OPTIONS"]["timeout"] = seconds
        gc.collect()
        with pytest.raises(OperationalError, match="locked"):
            connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
        return gc.collect()

    gc.disable()
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            connection.ensure_connection()
            file.execute("BEGIN IMMEDIATE")
            # What giving up leaves is the same, however often it was looked before.
            assert garbage_of_a_wait(0.5) <= garbage_of_a_wait(0.0) + 10
    finally:
        gc.enable()
        connection.close()
