"""Batches of changes as a worker's journal writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from agents.engine.journal.store import Store
from agents.engine.records import (
    Answer,
    Batch,
    BatchResult,
    Change,
    ClaimRequest,
    Ending,
    EventRecord,
    StepRecord,
)
from agents.models import Run, Worker
from tests.factories import make_run, make_worker

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


class Writer:
    """Writes batches for a worker, numbered as the journal does."""

    def __init__(self, store: Store, worker: Worker) -> None:
        self.store, self.worker, self.number = store, worker, 0

    def write(self, *changes: Change, claim: ClaimRequest | None = None) -> list[Answer]:
        return self.batch(*changes, claim=claim).answers

    def batch(self, *changes: Change, claim: ClaimRequest | None = None) -> BatchResult:
        self.number += 1
        return self.store.write(self.worker.pk, Batch(self.number, list(changes), claim), NOW)


def change(run: Run, ending: Ending | None = None, **fields: Any) -> Change:
    return Change(
        run_id=run.pk,
        epoch=run.epoch,
        workspace_id=run.workspace_id,
        root_id=run.root_id,
        parent_id=run.parent_id,
        parent_key=run.parent_key,
        ending=ending,
        **fields,
    )


def step(key: str, **fields: Any) -> StepRecord:
    return StepRecord(**{"key": key, "kind": "step", "name": key, "started_at": NOW, **fields})


def done(key: str, outcome: str = "1", **fields: Any) -> StepRecord:
    return step(key, status="succeeded", outcome=outcome, finished_at=NOW, **fields)


def event(kind: str) -> EventRecord:
    return EventRecord(kind, NOW, "{}")


def child_of(run: Run, key: str) -> Run:
    return make_run(
        run.workspace,
        status="running",
        worker=run.worker or make_worker(),
        epoch=1,
        parent=run,
        root=run,
        parent_key=key,
        depth=1,
    )
