"""Bringing an instance's database up to date, and setting it up when it is new."""

from __future__ import annotations

from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

from agents.services.errors import InvalidInput
from agents.services.first_start import FirstStart, first_start
from agents.services.vector_stores import ensure_table


def pending_migrations() -> int:
    """Count the migrations that the database still lacks."""
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def prepare() -> tuple[int, FirstStart]:
    """Migrate and set up; return how many migrations were applied and what was set up."""
    try:
        pending = pending_migrations()
        if pending:
            call_command("migrate", verbosity=0, interactive=False)
        ensure_table()
        started = first_start(admin_password=settings.ADMIN_PASSWORD)
    except OperationalError as error:
        raise CommandError(f"The database can't be used: {str(error).strip()}") from error
    except InvalidInput as error:
        raise CommandError(error.message) from error
    finally:
        connections.close_all()
    return pending, started
