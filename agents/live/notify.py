"""How a writer tells the hubs of all web processes that something changed."""

from __future__ import annotations

from django.db import connection

CHANNEL = "agentsite_live"


def announce() -> None:
    """Tell the hubs, once the caller's transaction commits, that runs changed.

    PostgreSQL delivers the notice with the commit. On SQLite nothing is needed: the hubs see the file's version change.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
