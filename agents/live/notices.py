"""How a web process learns that the database changed: by its own means on each of the two databases."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
from django.db import connections
from psycopg import sql

from agents.engine.connecting import postgres_parameters
from agents.engine.journal.postgres import LIVE_CHANNEL
from agents.engine.outages import Outage, outage_of, outages

POLL_SECONDS = 0.02
LISTENER_CHECK_SECONDS = 20.0
ANSWER_SECONDS = 5.0
FIRST_DELAY, MAX_DELAY = 0.1, 5.0

Poke = Callable[[], None]


async def watch(poke: Poke) -> None:
    """Call `poke` after each change of the database, until cancelled."""
    if connections["default"].vendor == "postgresql":
        await _listen(poke)
    else:
        await _poll_version(poke)


async def _listen(poke: Poke) -> None:
    delay = FIRST_DELAY
    while True:
        try:
            parameters = postgres_parameters("live")
            async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as connection:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(LIVE_CHANNEL)))
                delay = FIRST_DELAY
                outages.worked("live notices")
                # What was announced while nobody listened.
                poke()
                await _pass_on(connection, poke)
        except (psycopg.Error, OSError, TimeoutError) as error:
            outages.failed("live notices", outage_of(error) or Outage.AWAY, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, MAX_DELAY)


async def _pass_on(connection: psycopg.AsyncConnection[Any], poke: Poke) -> None:
    while True:
        async for _ in connection.notifies(timeout=LISTENER_CHECK_SECONDS):
            poke()
        # Silence is no proof of life: a connection cut by a firewall is silent too.
        async with asyncio.timeout(ANSWER_SECONDS):
            await connection.execute("SELECT 1")


async def _poll_version(poke: Poke) -> None:
    loop = asyncio.get_running_loop()
    stop = threading.Event()

    def changed() -> None:
        try:
            loop.call_soon_threadsafe(poke)
        except RuntimeError:
            # The loop has closed: nobody is left to tell.
            stop.set()

    thread = threading.Thread(target=_watch_file, args=(changed, stop), name="live-version", daemon=True)
    thread.start()
    try:
        await loop.create_future()
    finally:
        stop.set()


def _watch_file(changed: Poke, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            with closing(_open_file()) as file:
                _compare_versions(file, changed, stop)
        except sqlite3.Error as error:
            outages.failed("live notices", outage_of(error) or Outage.AWAY, error)
            stop.wait(1.0)


def _compare_versions(file: sqlite3.Connection, changed: Poke, stop: threading.Event) -> None:
    """Four microseconds a look: the version changes with every commit of any other connection, in any process."""
    seen = None
    while not stop.wait(POLL_SECONDS):
        version = file.execute("PRAGMA data_version").fetchone()[0]
        outages.worked("live notices")
        if version != seen:
            seen = version
            changed()


def _open_file() -> sqlite3.Connection:
    database = connections["default"].get_connection_params()["database"]
    return sqlite3.connect(database, timeout=1.0, isolation_level=None, uri=True)
