"""Who wants the events of the life of runs: they are written only where somebody does.

Somebody is a subscription, an endpoint of webhooks or a run that waits, whatever its state, whose pattern fits. It is
looked up in the transaction of what would be told of; on PostgreSQL that transaction has the lock `INTEREST` before it
looks. Whoever becomes interested commits, and then waits for all who have it: their look may have been too early.
Nobody waits the other way round: who can't have the lock at once takes it that all is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction

from agents.engine import life
from agents.engine.canonical import decode, encode
from agents.engine.event_names import fits
from agents.engine.happening_records import About, EmittedRecord
from agents.engine.journal import postgres_statements, sqlite_statements
from agents.models import Approval, Event, Run


def let_take_effect(patterns: Iterable[str]) -> None:
    """Once the caller's transaction is committed, wait until nothing goes unnoticed any more that fits its patterns.

    Called by whoever makes a subscription, an endpoint or a wait.
    """
    if any(fits(name, pattern) for name in life.NAMES for pattern in patterns):
        transaction.on_commit(_wait_for_those_who_looked)


def tell_of_end(run: Run) -> None:
    """Tell of the end of a run, in the transaction that ends it, if somebody wants to know."""
    name = life.ENDS[run.status]
    if _is_wanted(run.workspace_id, name):
        _write(run, life.end_event(run, run, _about(run), run.error))


def tell_of_decision(approval: Approval) -> None:
    """Tell of what became of a question, in the transaction that decides it, if somebody wants to know."""
    if not _is_wanted(approval.workspace_id, life.DECIDED):
        return
    # As it stands in the table now.
    decided = Approval.objects.select_related("decided_by").get(pk=approval.pk)
    run = Run.objects.select_related("agent_version__agent").get(pk=approval.run_id)
    said = {name: getattr(decided, name) for name in ("id", "status", "key", "kind", "subject", "tool", "comment")}
    said["by"] = decided.decided_by.get_username() if decided.decided_by is not None else None
    assert decided.decided_at is not None
    _write(run, life.question_event(life.DECIDED, run.pk, _about(run), said, decided.decided_at))


def _about(run: Run) -> About:
    version = run.agent_version
    name, number = (None, None) if version is None else (version.agent.name, version.number)
    return About(run.workflow, name, number, run.created_at, run.tainted)


def _write(run: Run, record: EmittedRecord) -> None:
    """Write an event as the journal writes those of the runs that it ends."""
    fields: dict[str, Any] = {**record._asdict(), "data": decode(record.data)}
    event = Event(workspace_id=run.workspace_id, cause_id=run.pk, **fields)
    Event.objects.bulk_create([event], ignore_conflicts=True)


def _is_wanted(workspace_id: int, name: str) -> bool:
    asked = life.patterned({(workspace_id, name)})
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(sqlite_statements.WANTED, [encode(asked)])
            return cursor.fetchone() is not None
        cursor.execute(postgres_statements.HOLD_INTEREST)
        if not cursor.fetchone()[0]:
            return True
        rows = [dict(zip(postgres_statements.TOLD_COLUMNS, row, strict=True)) for row in asked]
        cursor.execute(postgres_statements.WANTED, [encode(rows)])
        return cursor.fetchone() is not None


def _wait_for_those_who_looked() -> None:
    if connection.vendor != "postgresql":
        # Who looks there is alone with the file until he has committed.
        return
    with connection.cursor() as cursor:
        cursor.execute(postgres_statements.AWAIT_INTEREST)
