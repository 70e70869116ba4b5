"""How a batch is written, whatever the database: the algorithm here, the statements in postgres.py and sqlite.py.

One transaction: lock the run rows in the order of their ids, skipping what is held elsewhere; decide each change by
pure functions (transitions.py); write rows, steps, events, messages and waits in bulk; claim; note the batch's number.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Self
from uuid import UUID

from agents.engine.call_records import CallsChange
from agents.engine.happening_records import EmittedRecord
from agents.engine.journal.transitions import apply_change, child_message, has_ended, holds_lease, wake
from agents.engine.life import Told, asked_of, events_of
from agents.engine.outages import DATABASE_ERRORS, Outage, outage_of
from agents.engine.records import (
    Answer,
    Batch,
    BatchResult,
    Change,
    ChildRecord,
    Claimed,
    ClaimRequest,
    EventRecord,
    Finish,
    History,
    MessageRecord,
    Park,
    Postponed,
    Refused,
    Release,
    RunRow,
    StepRecord,
    WaitRecord,
)
from agents.engine.trust_records import TrustChange

RUN_COST_US = 50_000
"""What one run costs its workspace in the queue's virtual time, in microseconds."""
PRIORITY_BOOST_US = 900_000_000
"""One level of priority is worth a quarter of an hour in the queue: it overtakes, and nobody starves."""

_AS_NUMBER = attrgetter("int")
"""Sorts ids by their number, as the databases do; UUID's own comparison costs a call per pair."""
_WORKSPACE = attrgetter("workspace_id")
POSTPONED = Postponed()
REFUSED = Refused()


@dataclass(frozen=True, slots=True)
class NewRun:
    """A sub-run as it is inserted."""

    child: ChildRecord
    workspace_id: int
    parent_id: UUID
    root_id: UUID
    depth: int
    rank: int


@dataclass(slots=True)
class Writes:
    """What a batch will write, gathered before the first statement."""

    rows: dict[UUID, RunRow] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    events: list[tuple[UUID, int, EventRecord]] = field(default_factory=list)
    messages: list[MessageRecord] = field(default_factory=list)
    waits: list[tuple[UUID, WaitRecord]] = field(default_factory=list)
    waits_gone: set[UUID] = field(default_factory=set)
    children: list[NewRun] = field(default_factory=list)
    emitted: list[tuple[int, UUID, EmittedRecord]] = field(default_factory=list)
    """Events that come from runs: each with its workspace and its run."""
    has_news: bool = False
    """Whether a run was queued, or a running one was told something."""


@dataclass(slots=True)
class StepWrites:
    """The steps of a batch, each with its run's id, by how they are written.

    Most steps are written once, when their first attempt has succeeded: half of the columns say it all of a plain one.
    """

    plain: list[tuple[UUID, StepRecord]] = field(default_factory=list)
    new: list[tuple[UUID, StepRecord]] = field(default_factory=list)
    old: list[tuple[UUID, StepRecord]] = field(default_factory=list)

    @classmethod
    def of(cls, changes: Iterable[Change]) -> Self:
        """Sort the steps of these changes."""
        sorted_steps = cls()
        for change in changes:
            for step in change.steps.values():
                if step.is_stored:
                    sorted_steps.old.append((change.run_id, step))
                elif step.is_plain:
                    sorted_steps.plain.append((change.run_id, step))
                else:
                    sorted_steps.new.append((change.run_id, step))
        return sorted_steps


class Unavailable(Exception):
    """The database does not serve at present; the transaction did not happen or its fate is unknown."""

    def __init__(self, message: str, outage: Outage = Outage.BUSY) -> None:
        super().__init__(message)
        self.outage = outage


class Unwritable(Exception):
    """A value of this batch can't be stored (a constraint, an encoding)."""


@contextmanager
def typed_errors() -> Iterator[None]:
    """Turn what a database raises into Unavailable or Unwritable."""
    try:
        yield
    except (*DATABASE_ERRORS, ValueError, TypeError, OverflowError) as error:
        # ValueError: a lone surrogate; OverflowError and orjson's TypeError: an integer beyond 64 bits.
        outage = outage_of(error)
        if outage is None:
            raise Unwritable(str(error)) from error
        raise Unavailable(str(error), outage) from error


class BatchWriter(ABC):
    """Writes batches: the algorithm, and the statements that it is made of. Not thread-safe."""

    attempted: BatchResult | None = None
    """The result of the last batch that got as far as its commit; it holds if `last_batch` gives its number."""
    tried: int = 0
    """The number of the last batch that was begun."""

    def write(self, worker_id: int, batch: Batch, now: datetime) -> BatchResult:
        """Write a batch in one transaction.

        Raises Unavailable when the database is away (look `last_batch` up before trying again) and Unwritable when
        one of its values is refused (then nothing of it is written).
        """
        is_second_try, self.tried = batch.number == self.tried, batch.number
        if not batch.changes and not is_second_try and not self.has_due_runs():
            # A commit wakes everybody who watches the database: a worker with nothing to do must not.
            return BatchResult([])
        with self.transaction():
            # First of all: this waits for an earlier attempt whose connection broke but which is still committing.
            is_new = self.note_batch(worker_id, batch.number)
            # Claims come before locks: a claimed parent that a sub-run of this batch wakes is read as claimed.
            is_claiming = batch.claim is not None and batch.claim.limit > 0
            claimed = self.claim(worker_id, batch.claim, now) if batch.claim and is_claiming else list
            wanted = self.wanted_events(asked) if (asked := asked_of(batch.changes)) else frozenset
            rows = self.lock_runs(_ids_to_lock(batch.changes)) if batch.changes else {}
            if not is_new():
                raise Unavailable("the batch was written before, or its worker is gone")
            answers, writes = self._settle(worker_id, batch.changes, rows, now)
            writes.emitted = list(_emitted(writes, wanted(), now))
            self._write_all(writes, now)
            result = BatchResult(answers, claimed())
            self.announce(live=bool(writes.events or result.claimed), queue=writes.has_news)
            self.attempted = result
        return result

    def _settle(
        self, worker_id: int, changes: Sequence[Change], rows: dict[UUID, RunRow], now: datetime
    ) -> tuple[list[Answer], Writes]:
        writes = Writes()
        accepted = [self._is_writable(change, rows, worker_id) for change in changes]
        finished = [c for c, a in zip(changes, accepted, strict=True) if a is None and isinstance(c.ending, Finish)]
        # Wakes before parks: a parent of this batch that is about to park learns of its child first.
        self._tell_parents([change for change in finished if change.parent_id], rows, writes)
        answers: list[Answer] = []
        for change, refusal in zip(changes, accepted, strict=True):
            answers.append(refusal or self._apply(rows[change.run_id], change, now, writes))
        # Each locks the row of its workspace: in one order, or two batches could wait for each other.
        for change in sorted((change for change in writes.changes if change.children), key=_WORKSPACE):
            self._add_children(change, writes)
        return answers, writes

    @staticmethod
    def _is_writable(change: Change, rows: dict[UUID, RunRow], worker_id: int) -> Answer | None:
        row = rows.get(change.run_id)
        if row is None or (change.parent_id and isinstance(change.ending, Finish) and change.parent_id not in rows):
            return POSTPONED
        return None if holds_lease(row, change, worker_id) else REFUSED

    def _tell_parents(self, finished: Iterable[Change], rows: dict[UUID, RunRow], writes: Writes) -> None:
        told: dict[UUID, list[Change]] = defaultdict(list)
        for change in finished:
            assert change.parent_id is not None
            # Also to one that has ended: it may be retried, and then waits for what its sub-runs became.
            told[change.parent_id].append(change)
        waits = self.waits_of([run_id for run_id in told if rows[run_id].status == "waiting"])
        for parent_id, children in told.items():
            writes.messages += [child_message(child) for child in children]
            row = rows[parent_id]
            if has_ended(row):
                continue
            left = wake(row, waits.get(parent_id, ()), [child.parent_key for child in children])
            writes.rows[parent_id] = row
            if parent_id in waits:
                writes.waits_gone.add(parent_id)
            if row.status == "waiting":
                writes.waits += [(parent_id, wait) for wait in left]
            writes.has_news = True

    def _apply(self, row: RunRow, change: Change, now: datetime, writes: Writes) -> Answer:
        answer, change = apply_change(row, change, now)
        writes.rows[row.id] = row
        writes.changes.append(change)
        first = row.last_event - len(change.events) + 1
        writes.events += [(row.id, first + i, event) for i, event in enumerate(change.events)]
        match change.ending:
            case Park(waits=waits):
                writes.waits += [(row.id, wait) for wait in waits]
            case Release():
                writes.has_news = True
        return answer

    def _add_children(self, change: Change, writes: Writes) -> None:
        ranks = self.next_ranks(change.workspace_id, len(change.children))
        for child, rank in zip(change.children, ranks, strict=True):
            writes.children.append(
                NewRun(
                    child=child,
                    workspace_id=change.workspace_id,
                    parent_id=change.run_id,
                    root_id=change.root_id or change.run_id,
                    depth=change.depth + 1,
                    rank=rank - child.priority * PRIORITY_BOOST_US,
                )
            )
            writes.events.append((child.id, 1, EventRecord("run_queued", child.created_at, '{"by":"parent"}')))
        writes.has_news = True

    def _write_all(self, writes: Writes, now: datetime) -> None:
        if writes.rows:
            self.update_runs(list(writes.rows.values()))
        if writes.waits_gone:
            self.delete_waits(writes.waits_gone)
        if writes.waits:
            self.insert_waits(writes.waits, now)
        if writes.children:
            self.insert_runs(writes.children)
        self.write_steps(writes.changes, now)
        self.write_listens(writes.changes)
        if trust := [(change, change.trust) for change in writes.changes if change.trust is not None]:
            self.write_trust(trust)
        if calls := [(change, change.calls) for change in writes.changes if change.calls is not None]:
            self.write_calls(calls, now)
            writes.has_news = True
        if writes.emitted:
            self.write_emitted(writes.emitted)
            writes.has_news = True
        if writes.events:
            self.insert_events(writes.events)
        if writes.messages:
            self.insert_messages(writes.messages, now)

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Open a transaction; database errors leave it as Unavailable or Unwritable."""

    @abstractmethod
    def lock_runs(self, ids: Sequence[UUID]) -> dict[UUID, RunRow]:
        """Lock the rows in this order and read them; what is held elsewhere is left out."""

    @abstractmethod
    def update_runs(self, rows: Sequence[RunRow]) -> None: ...

    @abstractmethod
    def insert_runs(self, runs: Sequence[NewRun]) -> None: ...

    @abstractmethod
    def next_ranks(self, workspace_id: int, count: int) -> list[int]:
        """Advance the workspace's virtual time by `count` runs and give their ranks."""

    @abstractmethod
    def write_steps(self, changes: Sequence[Change], now: datetime) -> None:
        """Write steps, large outcomes, artifacts; mark superseded steps and consumed messages; drop partials."""

    @abstractmethod
    def write_trust(self, changes: Sequence[tuple[Change, TrustChange]]) -> None:
        """Mark tainted runs and steps; withdraw questions to people, and put new ones."""

    @abstractmethod
    def write_calls(self, changes: Sequence[tuple[Change, CallsChange]], now: datetime) -> None:
        """Queue calls that have a process of their own, each with its task; drop those that nobody waits for."""

    @abstractmethod
    def wanted_events(self, asked: AbstractSet[Told]) -> Callable[[], AbstractSet[Told]]:
        """Give those of these events that somebody wants (interest.py); the answer is asked for later."""

    @abstractmethod
    def write_emitted(self, events: Sequence[tuple[int, UUID, EmittedRecord]]) -> None:
        """Write events that come from runs, each with its workspace and its run; what was told of before is not."""

    @abstractmethod
    def write_listens(self, changes: Sequence[Change]) -> None:
        """Register waits for events, then forget those that are over; the runs are locked.

        One that stands as it is stays, and so does one whose run has been told already: its message is unread.
        """

    @abstractmethod
    def insert_events(self, events: Sequence[tuple[UUID, int, EventRecord]]) -> None: ...

    @abstractmethod
    def insert_messages(self, messages: Sequence[MessageRecord], now: datetime) -> None:
        """Insert messages; one whose token is already there changes nothing."""

    @abstractmethod
    def waits_of(self, ids: Sequence[UUID]) -> dict[UUID, list[WaitRecord]]: ...

    @abstractmethod
    def insert_waits(self, waits: Sequence[tuple[UUID, WaitRecord]], now: datetime) -> None: ...

    @abstractmethod
    def delete_waits(self, ids: Iterable[UUID]) -> None: ...

    @abstractmethod
    def claim(self, worker_id: int, request: ClaimRequest, now: datetime) -> Callable[[], list[Claimed]]:
        """Hand up to `limit` queued runs to the worker, those of the lowest rank first.

        A worker that others declared dead gets none, also before it finds out itself. Suspects are handed out one at a
        time, each to a worker that holds nothing else. The answer is asked for later, so that a database may be sent
        several statements at once.
        """

    @abstractmethod
    def note_batch(self, worker_id: int, number: int) -> Callable[[], bool]:
        """Note the batch with its worker; the answer, asked for later, is False if it or a later one was noted."""

    @abstractmethod
    def has_due_runs(self) -> bool:
        """Whether runs are queued, by a look that locks and writes nothing."""

    @abstractmethod
    def last_batch(self, worker_id: int) -> int:
        """Give the number of the worker's last committed batch."""

    @abstractmethod
    def announce(self, *, live: bool, queue: bool) -> None:
        """Tell the processes that listen, if the database can (at commit)."""


class Store(BatchWriter):
    """The tables as the journal and the driver see them. Not thread-safe: one thread and one connection each."""

    @abstractmethod
    def histories(self, ids: Sequence[UUID]) -> dict[UUID, History]:
        """Read what is recorded of these runs."""

    @abstractmethod
    def messages(self, run_id: UUID) -> History:
        """Read a run's wakes, flag and unread messages, without its steps."""

    @abstractmethod
    def large(self, id: UUID) -> bytes: ...

    @abstractmethod
    def watch(self, worker_id: int) -> list[tuple[UUID, int, int, str]]:
        """Give (id, epoch, wakes, wanted) of the runs that this worker holds."""

    @abstractmethod
    def close(self) -> None:
        """Drop the connection; the next call opens a new one."""


def _ids_to_lock(changes: Iterable[Change]) -> list[UUID]:
    ids = {change.run_id for change in changes}
    ids |= {change.parent_id for change in changes if change.parent_id and isinstance(change.ending, Finish)}
    return sorted(ids, key=_AS_NUMBER)


def _emitted(writes: Writes, wanted: AbstractSet[Told], now: datetime) -> Iterator[tuple[int, UUID, EmittedRecord]]:
    """Give what the runs tell of themselves, and what there is to tell of their lives."""
    for change in writes.changes:
        for event in change.emitted:
            yield change.workspace_id, change.run_id, event
        if wanted:
            for event in events_of(change, writes.rows[change.run_id], wanted, now):
                yield change.workspace_id, change.run_id, event
