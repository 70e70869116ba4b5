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
    channels = [channel for channel, is_meant in ((QUEUE_CHANNEL, queue), (LIVE_CHANNEL, live)) if is_meant]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(channel, '') FROM unnest(%s::text[]) AS channel", [channels])
