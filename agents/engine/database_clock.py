"""The database's time: PostgreSQL's own clock, on SQLite (one machine) the machine's clocks."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from django.db import connection


def database_seconds() -> float:
    """Give the seconds of the clock by which leases are judged."""
    if connection.vendor == "sqlite":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        return float(cursor.fetchone()[0])


def database_now() -> datetime:
    """Give the time of day by which timers are judged."""
    if connection.vendor == "sqlite":
        return datetime.now(UTC)
    return datetime.fromtimestamp(database_seconds(), UTC)
