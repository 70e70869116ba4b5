"""Telling other processes that something changed, where the database can."""

from __future__ import annotations

from django.db import connection

from agents.engine.journal.postgres import LIVE_CHANNEL, QUEUE_CHANNEL


def announce(*, queue: bool = False, live: bool = False) -> None:
    """Notify the listening processes when the caller's transaction commits.

    On SQLite there is nothing to do: they watch `PRAGMA data_version`.
    """
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        if queue:
            cursor.execute("SELECT pg_notify(%s, '')", [QUEUE_CHANNEL])
        if live:
            cursor.execute("SELECT pg_notify(%s, '')", [LIVE_CHANNEL])
