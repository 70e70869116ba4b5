"""Opening the journal's store on the database that Django is configured for."""

from __future__ import annotations

from django.conf import settings
from django.db import connection

from agents.engine.connecting import postgres_parameters
from agents.engine.journal.postgres import PostgresStore
from agents.engine.journal.sqlite import SqliteStore
from agents.engine.journal.store import Store


def open_store() -> Store:
    """Give a store with a connection of its own, opened at its first use."""
    if connection.vendor == "sqlite":
        return SqliteStore(str(connection.settings_dict["NAME"]))
    # A statement that hangs must fail before others may take this worker for dead.
    return PostgresStore(postgres_parameters("journal"), patience=settings.LEASE_SECONDS / 2)
