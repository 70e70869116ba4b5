"""The journal's tables in memory, for unit tests of workflows: no database, no process, the same algorithm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from agents.engine.call_records import CallRecord, CallsChange
from agents.engine.canonical import encode
from agents.engine.caps import Amounts
from agents.engine.happening_records import EmittedRecord, Listening, told_name
from agents.engine.journal.store import NewRun, Store
from agents.engine.life import Told
from agents.engine.records import (
    STARTING_RUNS,
    ArtifactRecord,
    Change,
    ChildRecord,
    Claimed,
    ClaimRequest,
    EventRecord,
    History,
    MessageRecord,
    RunRow,
    StepRecord,
    WaitRecord,
)
from agents.engine.trust_records import ApprovalRecord, TrustChange


@dataclass(slots=True)
class MemoryRun:
    """A run with all its rows."""

    row: RunRow
    child: ChildRecord
    workspace_id: int
    parent_id: UUID | None
    root_id: UUID | None
    depth: int
    rank: int
    steps: dict[str, StepRecord] = field(default_factory=dict)
    superseded: list[StepRecord] = field(default_factory=list)
    events: list[tuple[int, EventRecord]] = field(default_factory=list)
    messages: dict[int, MessageRecord] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    waits: list[WaitRecord] = field(default_factory=list)
    artifacts: list[ArtifactRecord] = field(default_factory=list)
    tainted: list[str] = field(default_factory=list)
    approvals: dict[str, ApprovalRecord] = field(default_factory=dict)
    """The open questions by the key of their step."""


class MemoryStore(Store):
    """Tables as dictionaries. A write is as good as committed when it returns."""

    def __init__(self) -> None:
        self.runs: dict[UUID, MemoryRun] = {}
        self.larges: dict[UUID, bytes] = {}
        self.batches: dict[int, int] = {}
        self.calls: dict[UUID, CallRecord] = {}
        """The calls that wait for a process, by their tokens. Nobody here starts one: a test says what comes of it."""
        self.emitted: list[EmittedRecord] = []
        """The events that runs have told of. Nothing comes of them here."""
        self.listening: dict[tuple[UUID, str], Listening] = {}
        """The waits for events by run and key."""
        self._tag = 0
        self._message_id = 0

    def add_run(self, child: ChildRecord, *, workspace_id: int = 1) -> MemoryRun:
        """Queue a root run."""
        run = self._insert(NewRun(child, workspace_id, child.id, child.id, 0, self.next_ranks(workspace_id, 1)[0]))
        run.parent_id = run.root_id = None
        run.events.append((1, EventRecord("run_queued", child.created_at, "{}")))
        return run

    def taken(self, root_id: UUID) -> Amounts:
        """Give what is recorded of all runs of a tree."""
        tree = [run for run in self.runs.values() if root_id in (run.row.id, run.root_id)]
        rows = [run.row for run in tree]
        return Amounts(
            steps=sum(row.steps_done for row in rows),
            children=len(tree) - 1,
            tokens=sum(row.input_tokens + row.output_tokens for row in rows),
            microusd=sum(row.cost_microusd for row in rows),
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield

    def lock_runs(self, ids: Sequence[UUID]) -> dict[UUID, RunRow]:
        return {id: copy(self.runs[id].row) for id in ids if id in self.runs}

    def update_runs(self, rows: Sequence[RunRow]) -> None:
        for row in rows:
            self.runs[row.id].row = row

    def insert_runs(self, runs: Sequence[NewRun]) -> None:
        for run in runs:
            self._insert(run)

    def _insert(self, new: NewRun) -> MemoryRun:
        row = RunRow(new.child.id, "queued", "", "", None, 0, 0, 1, 0, 0, 0, 0)
        run = MemoryRun(row, new.child, new.workspace_id, new.parent_id, new.root_id, new.depth, new.rank)
        self.runs[new.child.id] = run
        return run

    def next_ranks(self, workspace_id: int, count: int) -> list[int]:
        self._tag += count
        return list(range(self._tag - count + 1, self._tag + 1))

    def write_steps(self, changes: Sequence[Change], now: datetime) -> None:
        for change in changes:
            run = self.runs[change.run_id]
            for key in change.superseded:
                if key in run.steps:
                    run.superseded.append(run.steps.pop(key))
            for step in change.steps.values():
                old = run.steps.get(step.key)
                stored = replace(step, is_stored=True)
                if old is not None and stored.input is None:
                    stored.input = old.input
                run.steps[step.key] = stored
            self.larges.update({large.id: large.data for large in change.larges})
            for id in change.consumed:
                run.messages.pop(id, None)
            run.artifacts += change.artifacts

    def write_trust(self, changes: Sequence[tuple[Change, TrustChange]]) -> None:
        for change, trust in changes:
            run = self.runs[change.run_id]
            run.tainted += trust.tainted
            for key in trust.withdrawn:
                run.approvals.pop(key, None)
            run.approvals |= {approval.key: approval for approval in trust.approvals}

    def write_calls(self, changes: Sequence[tuple[Change, CallsChange]], now: datetime) -> None:
        for _, change in changes:
            self.calls |= {call.id: call for call in change.new}
            for token in change.dropped:
                self.calls.pop(token, None)

    def write_emitted(self, events: Sequence[tuple[int, UUID, EmittedRecord]]) -> None:
        self.emitted += [event for _, _, event in events]

    def write_listens(self, changes: Sequence[Change]) -> None:
        for change in changes:
            unread = {message.name for message in self.runs[change.run_id].messages.values()}
            for one in change.listens:
                if told_name(one.key) not in unread:
                    self.listening[one.run_id, one.key] = one
            for key in change.deaf:
                self.listening.pop((change.run_id, key), None)

    def wanted_events(self, asked: AbstractSet[Told]) -> Callable[[], AbstractSet[Told]]:
        return frozenset  # nobody listens

    def insert_events(self, events: Sequence[tuple[UUID, int, EventRecord]]) -> None:
        for run_id, number, event in events:
            self.runs[run_id].events.append((number, event))

    def insert_messages(self, messages: Sequence[MessageRecord], now: datetime) -> None:
        for message in messages:
            run = self.runs[message.run_id]
            if message.token not in run.tokens:
                self._message_id += 1
                run.tokens.add(message.token)
                run.messages[self._message_id] = replace(message, id=self._message_id)

    def waits_of(self, ids: Sequence[UUID]) -> dict[UUID, list[WaitRecord]]:
        return {id: list(self.runs[id].waits) for id in ids if self.runs[id].waits}

    def insert_waits(self, waits: Sequence[tuple[UUID, WaitRecord]], now: datetime) -> None:
        for run_id, wait in waits:
            self.runs[run_id].waits.append(wait)

    def delete_waits(self, ids: Iterable[UUID]) -> None:
        for id in ids:
            self.runs[id].waits.clear()

    def claim(self, worker_id: int, request: ClaimRequest, now: datetime) -> Callable[[], list[Claimed]]:
        queued = sorted((run for run in self.runs.values() if run.row.status == "queued"), key=lambda run: run.rank)
        claimed = [self._claim(run, worker_id) for run in queued[: request.limit]]
        return lambda: claimed

    def _claim(self, run: MemoryRun, worker_id: int) -> Claimed:
        row, child = run.row, run.child
        row.status, row.reason, row.worker_id = "running", "", worker_id
        row.epoch += 1
        return Claimed(
            id=row.id,
            epoch=row.epoch,
            workspace_id=run.workspace_id,
            workflow=child.target.workflow,
            agent_version_id=child.target.agent_version_id,
            input=child.input,
            parent_id=run.parent_id,
            parent_key=child.parent_key,
            root_id=run.root_id,
            depth=run.depth,
            priority=child.priority,
            wakes=row.wakes,
            wanted=row.wanted,
            last_event=row.last_event,
            created_at=child.created_at,
            tainted=child.tainted or bool(run.tainted),
            tools=child.tools,
            budget=None if child.budget is None else encode(child.budget),
            deadline_at=child.deadline_at,
        )

    def note_batch(self, worker_id: int, number: int) -> Callable[[], bool]:
        self.batches[worker_id] = number
        return lambda: True  # no answer is ever lost here

    def has_due_runs(self) -> bool:
        return True

    def last_batch(self, worker_id: int) -> int:
        return self.batches.get(worker_id, 0)

    def announce(self, *, live: bool, queue: bool) -> None:
        """Nobody listens."""

    def histories(self, ids: Sequence[UUID]) -> dict[UUID, History]:
        found = {id: self.messages(id) for id in ids}
        for id, history in found.items():
            history.steps = {key: _loaded(step) for key, step in self.runs[id].steps.items()}
        return found

    def messages(self, run_id: UUID) -> History:
        run = self.runs[run_id]
        return History(run.row.wakes, run.row.wanted, messages=list(run.messages.values()))

    def large(self, id: UUID) -> bytes:
        return self.larges[id]

    def watch(self, worker_id: int) -> list[tuple[UUID, int, int, str]]:
        rows = (run.row for run in self.runs.values())
        return [(r.id, r.epoch, r.wakes, r.wanted) for r in rows if r.status == "running" and r.worker_id == worker_id]

    def close(self) -> None:
        """Nothing is open."""


def _loaded(step: StepRecord) -> StepRecord:
    """Give a step as a history has it: of what is done the input is left out, unless it names sub-runs."""
    if step.status == "succeeded" and step.kind not in STARTING_RUNS:
        return replace(step, input=None)
    return replace(step)
