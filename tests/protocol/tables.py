"""The tables of the model: the journal's own algorithm on tuples.

`Tables` fills in the statements of `BatchWriter`; batches are written by its `write`, so locking, fencing, telling
parents and parking are the product's code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple, cast
from uuid import UUID

from agents.engine.call_records import CallsChange
from agents.engine.happening_records import EmittedRecord
from agents.engine.journal.store import BatchWriter, NewRun
from agents.engine.life import Told
from agents.engine.records import (
    Answer,
    Batch,
    ChildRecord,
    Claimed,
    ClaimRequest,
    Committed,
    EventRecord,
    Finish,
    MessageRecord,
    Park,
    Release,
    RunRow,
    Status,
    StepRecord,
    Target,
    WaitRecord,
    WantedFlag,
)
from agents.engine.records import Change as JournalChange
from agents.engine.trust_records import TrustChange
from tests.protocol.state import DONE, Change, Exec, Message, Row, WorkerRow

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DUE = datetime(2026, 5, 2, tzinfo=UTC)
"""When timers are due; whether that has come is in the row."""
ERRORS = {"lost": "interrupted", "unknown": "raised"}


class Violation(Exception):
    """A rule of the protocol does not hold; the message says which. `move` is what broke it, if that is known."""

    move = ""


def demand(holds: bool, rule: str) -> None:
    if not holds:
        raise Violation(rule)


@contextmanager
def during(move: str) -> Iterator[None]:
    """Name the move that is being made."""
    try:
        yield
    except Violation as violation:
        violation.move = move
        raise


class Flaws(NamedTuple):
    """Mistakes that can be planted into the model, to see that the exploration finds them."""

    epochs_stand_still: bool = False
    heartbeat_without_compare: bool = False
    dead_without_compare: bool = False
    batch_number_unchecked: bool = False
    messages_before_wakes: bool = False
    old_intents_act: bool = False
    acts_after_cancel: bool = False
    cancel_after_the_end: bool = False
    drain_forgets_pause: bool = False
    unknown_workflow_ignores_wanted: bool = False
    retry_deletes: bool = False


@cache
def run_id(index: int) -> UUID:
    return UUID(int=index + 1)


def index_of(id: UUID) -> int:
    return id.int - 1


@cache
def _step(key: str, state: str) -> StepRecord:
    status = "unknown" if state == "lost" else state
    record = StepRecord(key, "step", key, NOW, status=status, error=ERRORS.get(state))  # type: ignore[arg-type]
    record.finished_at = NOW if record.is_done else None
    return record


def _state(step: StepRecord) -> str:
    return "lost" if step.error == "interrupted" else step.status


@cache
def journal_change(change: Change, run: int, epoch: int, seen: int, parent: int | None, key: str) -> JournalChange:
    """Give the change as the journal would be handed it (Execution._new_change, endings.py)."""
    made = JournalChange(
        run_id=run_id(run),
        epoch=epoch,
        parent_id=None if parent is None else run_id(parent),
        parent_key=key,
        steps={key: _step(key, state) for key, state in change.steps},
        children=[_child(child) for child in change.children],
    )
    kind, _, status = change.ending.partition(":")
    match kind:
        case "park":
            made.ending = Park(change.waits, "", seen)
            kind = "run_paused" if any(wait.kind == "paused" for wait in change.waits) else "run_waiting"
            made.events.append(EventRecord(kind, NOW, "{}"))
        case "finish":
            made.ending = Finish(status)  # type: ignore[arg-type]  # one of its three
            made.events.append(EventRecord(f"run_{status}", NOW, "{}"))
        case "release":
            made.ending = Release("worker stopped")
            made.events.append(EventRecord("run_queued", NOW, "{}"))
    made.events += [EventRecord("step_finished", NOW, "{}") for _, state in change.steps if state in DONE]
    return made


def _run_row(id: UUID, row: Row) -> RunRow:
    status, wanted = cast(Status, row.status), cast(WantedFlag, row.wanted)
    return RunRow(id, status, "", wanted, row.worker, row.epoch, row.wakes, 0, 0, 0, 0, 0)


@cache
def _child(index: int) -> ChildRecord:
    return ChildRecord(run_id(index), Target("child"), call_key(index), "{}", 0, NOW)


def call_key(child: int) -> str:
    """Give the key of the step that calls this run: the branches of a join."""
    return f"gather/{child}/call"


class Tables(BatchWriter):
    """The tables within one transaction; afterwards `rows` and `workers` are what was committed."""

    def __init__(self, rows: Iterable[Row], workers: Iterable[WorkerRow], flaws: Flaws) -> None:
        self.rows = list(rows)
        self.workers = {worker.id: worker for worker in workers}
        self.flaws = flaws
        self._lasts: dict[UUID, int] = {}

    # -- the journal's batch -------------------------------------------------------------------------------------

    def commit(self, worker: int, execs: Sequence[Exec]) -> tuple[Answer, ...]:
        """Write the changes of these executions: Store.write and all that it calls."""
        changes = []
        for x in execs:
            row = self.rows[x.run]
            changes.append(journal_change(x.gather, x.run, x.epoch, x.seen, row.parent, row.parent_key))
        return self.write_changes(worker, Batch(1, changes), [x.gather.consumed for x in execs])

    def write_changes(self, worker: int, batch: Batch, consumed: Sequence[Sequence[str]]) -> tuple[Answer, ...]:
        """Write a batch without a claim; `consumed` has for each change the tokens of the messages that it reads."""
        answers = self.write(worker, batch, NOW).answers
        for change, tokens, answer in zip(batch.changes, consumed, answers, strict=True):
            if isinstance(answer, Committed):
                self._check_writer(worker, index_of(change.run_id), change.epoch)
                self._consume(index_of(change.run_id), tokens)
        return tuple(answers)

    def _check_writer(self, worker: int, index: int, epoch: int) -> None:
        row = self.rows[index]
        demand(row.holder == (worker, epoch), "a writer that does not hold the run's lease has committed")
        if row.status != "running":
            self.rows[index] = row._replace(holder=None)

    def _consume(self, index: int, tokens: Sequence[str]) -> None:
        row = self.rows[index]
        self.rows[index] = row._replace(inbox=tuple(m for m in row.inbox if m.token not in tokens))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield

    def note_batch(self, worker_id: int, number: int) -> Callable[[], bool]:
        worker = self.workers.get(worker_id)
        is_new = worker is not None and (worker.batch < number or self.flaws.batch_number_unchecked)
        if worker is not None and is_new:
            self.workers[worker_id] = worker._replace(batch=number)
        return lambda: is_new

    def has_due_runs(self) -> bool:
        return True  # claims are transitions of their own

    def last_batch(self, worker_id: int) -> int:
        worker = self.workers.get(worker_id)
        return worker.batch if worker else 0

    def lock_runs(self, ids: Sequence[UUID]) -> dict[UUID, RunRow]:
        return {id: _run_row(id, self.rows[index_of(id)]) for id in ids}

    def update_runs(self, rows: Sequence[RunRow]) -> None:
        for new in rows:
            index = index_of(new.id)
            old = self.rows[index]
            self.check_end(old, new.status)
            woken = new.wakes != old.wakes
            self.rows[index] = old._replace(
                status=new.status,
                wanted=new.wanted,
                worker=new.worker_id,
                wakes=new.wakes,
                is_fresh=old.is_fresh and not woken,
            )
            self._lasts[new.id] = new.last_event

    @staticmethod
    def check_end(old: Row, status: str) -> None:
        demand(not old.has_ended or status == old.status, "a run that had ended got another end")

    def insert_runs(self, runs: Sequence[NewRun]) -> None:
        for new in runs:
            index = index_of(new.child.id)
            demand(index == len(self.rows) or self.rows[index].status == "", "a sub-run was queued twice")
            row = Row(parent=index_of(new.parent_id), parent_key=new.child.parent_key)
            self.rows[index : index + 1] = [row]

    def next_ranks(self, workspace_id: int, count: int) -> list[int]:
        return list(range(count))

    def write_steps(self, changes: Sequence[JournalChange], now: datetime) -> None:
        for change in changes:
            index = index_of(change.run_id)
            row = self.rows[index]
            steps = dict(row.steps)
            for key, step in change.steps.items():
                demand(steps.get(key) not in DONE, f"the outcome of {key} was recorded twice")
                steps[key] = _state(step)
            self.rows[index] = row._replace(steps=tuple(sorted(steps.items())))

    def write_trust(self, changes: Sequence[tuple[JournalChange, TrustChange]]) -> None:
        """Nothing in the model asks a person, or reads what strangers wrote."""

    def write_calls(self, changes: Sequence[tuple[JournalChange, CallsChange]], now: datetime) -> None:
        """Nothing in the model has a process of its own."""

    def write_listens(self, changes: Sequence[JournalChange]) -> None:
        """Nothing in the model waits for events."""

    def wanted_events(self, asked: AbstractSet[Told]) -> Callable[[], AbstractSet[Told]]:
        return frozenset  # nobody in the model listens

    def write_emitted(self, events: Sequence[tuple[int, UUID, EmittedRecord]]) -> None:
        """Nothing in the model tells of events."""

    def insert_events(self, events: Sequence[tuple[UUID, int, EventRecord]]) -> None:
        counts: dict[UUID, int] = {}
        for id, number, _ in events:
            counts[id] = counts.get(id, 0) + 1
            demand(number == counts[id], "the numbers of a run's events have a gap or come twice")
        for id, last in self._lasts.items():
            demand(counts.get(id, 0) == last, "the run counts other events than its log has")
        self._lasts.clear()

    def insert_messages(self, messages: Sequence[MessageRecord], now: datetime) -> None:
        for m in messages:
            self.insert_message(index_of(m.run_id), Message(m.name, m.token, (m.data or "")[11:20].split('"')[0]))

    def insert_message(self, index: int, message: Message) -> bool:
        """Insert a message; False if its token came before."""
        row = self.rows[index]
        if message.token in row.tokens:
            return False
        tokens = tuple(sorted((*row.tokens, message.token)))
        self.rows[index] = row._replace(inbox=(*row.inbox, message), tokens=tokens)
        return True

    def waits_of(self, ids: Sequence[UUID]) -> dict[UUID, list[WaitRecord]]:
        return {id: list(waits) for id in ids if (waits := self.rows[index_of(id)].waits)}

    def insert_waits(self, waits: Sequence[tuple[UUID, WaitRecord]], now: datetime) -> None:
        for id, wait in waits:
            row = self.rows[index_of(id)]
            self.rows[index_of(id)] = row._replace(waits=(*row.waits, wait))

    def delete_waits(self, ids: Iterable[UUID]) -> None:
        for id in ids:
            self.rows[index_of(id)] = self.rows[index_of(id)]._replace(waits=())

    def claim_run(self, worker: int, index: int) -> Exec | None:
        """Hand a queued run to a worker that is not dead: CLAIM of the two files of statements."""
        row = self.rows[index]
        if row.status != "queued" or not self.workers[worker].is_living:
            return None
        epoch = row.epoch + (not self.flaws.epochs_stand_still)
        self.rows[index] = row._replace(
            status="running", worker=worker, epoch=epoch, is_fresh=False, holder=(worker, epoch)
        )
        phase = "go" if row.is_fresh else "load"
        hold = "pause" if row.wanted == "pause" else ""
        return Exec(index, epoch, phase, seen=row.wakes, known=row.wakes, wanted=row.wanted, hold=hold)

    def claim(self, worker_id: int, request: ClaimRequest, now: datetime) -> Callable[[], list[Claimed]]:
        raise AssertionError("a batch of the model claims nothing: claims are transitions of their own")

    def announce(self, *, live: bool, queue: bool) -> None:
        """Hints carry no content: looking is always possible."""
