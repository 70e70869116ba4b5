"""Rows of the journal's tables as SQLite takes and gives them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson

from agents.engine.call_records import CallRecord
from agents.engine.happening_records import EmittedRecord, Listening, registration
from agents.engine.journal import sqlite_statements as sql
from agents.engine.records import Change, Claimed, StepRecord
from agents.engine.trust_records import ApprovalRecord

columns_of_approval = attrgetter(*sql.APPROVAL)
columns_of_call = attrgetter(*sql.CALL)


def hex_ids(ids: Iterable[UUID]) -> str:
    """Give ids as one parameter, for json_each."""
    return orjson.dumps([id.hex for id in ids]).decode()


def stamp(at: datetime | None) -> str | None:
    """Give the text in which Django keeps a datetime in SQLite."""
    if at is None:
        return None
    # Nearly all times are in UTC already: then only the offset is cut off.
    return at.isoformat(" ")[:-6] if at.tzinfo is UTC else str(at.astimezone(UTC).replace(tzinfo=None))


def moment(text: str | None) -> datetime | None:
    """Read a datetime as Django keeps it."""
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def step_row(run_id: str, step: StepRecord) -> tuple[Any, ...]:
    """Give what an update of a step takes."""
    return (
        run_id,
        step.key,
        step.label,
        step.status,
        step.effect,
        step.attempt,
        step.attempts,
        step.digest,
        step.input,
        step.outcome,
        step.large.hex if step.large else None,
        step.error,
        step.input_tokens,
        step.output_tokens,
        step.cost_microusd,
        stamp(step.finished_at),
    )


def emitted_row(workspace_id: int, run_id: UUID, event: EmittedRecord) -> tuple[Any, ...]:
    """Give what the insert of an event that comes from a run takes."""
    said = (event.name, event.data, event.source, stamp(event.occurred_at), event.tainted, event.event_id)
    return (workspace_id, run_id.hex, *said)


def listening_row(one: Listening) -> tuple[Any, ...]:
    """Give what the registration of a wait for an event takes."""
    workspace_id, run_id, *rest = registration(one)
    return (workspace_id, run_id.hex, *rest)


def plain_step_row(run_id: str, step: StepRecord) -> tuple[Any, ...]:
    """Give what the insert of a plain step takes."""
    return (
        run_id,
        step.key,
        step.kind,
        step.name,
        step.label,
        step.effect,
        step.digest,
        step.input,
        step.outcome,
        stamp(step.started_at),
        stamp(step.finished_at),
    )


def step_of(row: tuple[Any, ...]) -> StepRecord:
    """Read a step."""
    started_at = moment(row[4])
    assert started_at is not None
    large = UUID(row[13]) if row[13] else None
    values = (*row[1:4], started_at, *row[5:13], large, *row[14:18], moment(row[18]), True)
    return StepRecord(*values)


def artifact_row(change: Change, artifact: Any) -> tuple[Any, ...]:
    """Give what the insert of a file takes."""
    return (
        artifact.id.hex,
        change.workspace_id,
        change.run_id.hex,
        artifact.key,
        artifact.name,
        artifact.media_type,
        artifact.size,
        artifact.address,
        stamp(artifact.created_at),
    )


def approval_row(change: Change, approval: ApprovalRecord) -> tuple[Any, ...]:
    """Give what the insert of a question to a person takes."""
    times = (stamp(approval.asked_at), stamp(approval.expires_at))
    return (approval.id.hex, change.workspace_id, change.run_id.hex, *columns_of_approval(approval), *times)


def call_row(run_id: str, call: CallRecord) -> tuple[Any, ...]:
    """Give what the insert of a call with a process of its own takes."""
    return (call.id.hex, run_id, *columns_of_call(call), stamp(call.queued_at))


def claimed_of(row: Sequence[Any]) -> Claimed:
    """Read a run that was claimed."""
    parent, root, created_at = row[6], row[8], moment(row[14])
    assert created_at is not None
    ids = (UUID(parent) if parent else None, row[7], UUID(root) if root else None)
    flags = (bool(row[15]), bool(row[16]))
    values = (UUID(row[0]), *row[1:6], *ids, *row[9:14], created_at, *flags, *row[17:19], moment(row[19]), *row[20:])
    return Claimed(*values)
