"""Writing an accepted run with its first event: in as few statements as the database allows.

Every request does this, so it is written out: on PostgreSQL one statement, which is its own transaction.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from django.db import connection, transaction
from django.db.models import AutoField, Field, Model

from agents.engine.journal.postgres import LIVE_CHANNEL, QUEUE_CHANNEL
from agents.engine.ranking import Place, next_rank
from agents.models import Run, RunEvent, RunStatus, Wait


def write_run(run: Run, event: RunEvent, wait: Wait | None, place: Place | None) -> None:
    """Write all that is there of a new run; without a `place`, take it. Raises IntegrityError for a key used before."""
    with _transaction(is_one_statement=wait is None):
        if wait is not None:
            wait.save(force_insert=True)
        if connection.vendor == "postgresql":
            run.rank = place.rank if place else next_rank(run.workspace_id, run.created_at, run.priority)
            _insert_and_announce(run, event)
        else:
            _insert(event)
            run.rank = next_rank(run.workspace_id, run.created_at, run.priority)
            _insert(run)
    run._state.adding, run._state.db = False, connection.alias


def _transaction(*, is_one_statement: bool) -> AbstractContextManager[Any]:
    """Give what keeps the statements together; in the caller's transaction a savepoint."""
    is_whole = connection.vendor == "postgresql" and is_one_statement and not connection.in_atomic_block
    return nullcontext() if is_whole else transaction.atomic()


def _insert_and_announce(run: Run, event: RunEvent) -> None:
    channels = [LIVE_CHANNEL, QUEUE_CHANNEL] if run.status == RunStatus.QUEUED else [LIVE_CHANNEL]
    statement = (
        f"WITH run AS ({_statement(Run)}), event AS ({_statement(RunEvent)})"  # noqa: S608 (names of our own)
        " SELECT pg_notify(channel, '') FROM unnest(%s::text[]) AS channel"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*_values(run), *_values(event), channels])


def _insert(row: Model) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_statement(type(row)), _values(row))


@cache
def _statement(model: type[Model]) -> str:
    """Give the statement that inserts a row: Django would put it together anew each time."""
    columns = [f'"{field.column}"' for field in _fields(model)]
    places = ["%s"] * len(columns)
    return f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) VALUES ({', '.join(places)})"  # noqa: S608 (as above)


@cache
def _fields(model: type[Model]) -> list[Field[Any, Any]]:
    return [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]


def _values(row: Model) -> list[Any]:
    # Not by the proxy, which would look it up for each field.
    database = transaction.get_connection()
    return [field.get_db_prep_save(getattr(row, field.attname), database) for field in _fields(type(row))]
