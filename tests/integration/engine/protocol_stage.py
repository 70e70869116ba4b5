"""The real tables under random hands: workers that claim, write, stall and crash, people, time and a reaper.

Each rule calls the product's own functions on the test database. Beside it, the model of tests/protocol makes the same
move on the rows as they were; both must come to the same rows, and the model's rules must hold for what the tables
show. So what the enumeration proves of the model holds for the SQL of both databases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import connection, transaction

from agents.engine import leases
from agents.engine.canonical import encode
from agents.engine.journal.opening import open_store
from agents.engine.journal.store import Store, Unavailable
from agents.engine.marks import Marks, MarksFile, mark_of
from agents.engine.records import (
    Answer,
    Batch,
    BatchResult,
    Change,
    ChildRecord,
    Claimed,
    ClaimRequest,
    Committed,
    EventRecord,
    Finish,
    MessageRecord,
    Park,
    Refused,
    Release,
    StepRecord,
    Target,
    WaitRecord,
)
from agents.models import Inbox, Run, Step, Worker, Workspace
from tests.protocol.invariants import check_move, check_state
from tests.protocol.reading import comparable, read_workers, read_world
from tests.protocol.state import Row, World
from tests.protocol.tables import Flaws, Tables, call_key, demand, index_of, run_id

BEGIN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
LEASE = 8.0
GONE = 4_000_000
"""No process has this id."""
PAUSED = WaitRecord("paused")


@dataclass
class Hold:
    """A run in a process's hands, as that process knows it: perhaps it has lost it long ago."""

    index: int
    epoch: int
    seen: int
    wanted: str
    parent: int | None
    parent_key: str
    has_read: bool = False
    early: list[MessageRecord] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    steps: dict[str, StepRecord] = field(default_factory=dict)
    failed: str = ""

    def open_calls(self) -> list[str]:
        """Give the keys of calls whose sub-run's end this process has not read of yet."""
        told = {message.name for message in self.early}
        return [key for key, step in self.steps.items() if step.status == "running" and key not in told]

    def take(self, message: MessageRecord, change: Change) -> None:
        self.early.remove(message)
        change.consumed.append(message.id)


@dataclass
class Process:
    """A worker's process: its row, its journal's numbers, its connection, what it holds and its marks."""

    worker: Worker
    store: Store
    folder: Path
    number: int = 0
    holds: list[Hold] = field(default_factory=list)
    lost: list[Hold] = field(default_factory=list)

    def mark(self, index: int | None) -> None:
        """Leave the mark of a run on the processor, or of none, and be gone."""
        Worker.objects.filter(pk=self.worker.pk).update(pid=GONE)
        marks = Marks.make(MarksFile(self.folder, self.worker.host_id, GONE, self.worker.pid_start).path)
        marks.tick()
        if index is not None:
            marks.put(mark_of(run_id(index), "s"))


def register() -> Worker:
    return leases.register_worker(queue="runs", slots=5, lease=LEASE)


def failed_and_later(id: UUID) -> set[str]:
    """The steps here are of no branch: all that started after the failure owes something to it."""
    error = Run.objects.values_list("error", flat=True).filter(pk=id).first() or {}
    standing = Step.objects.filter(run_id=id, superseded=False)
    failed = standing.filter(key=error.get("step", ""), status="failed").first()
    if failed is None:
        return set()
    return {failed.key, *standing.filter(started_at__gt=failed.finished_at).values_list("key", flat=True)}


def empty() -> None:
    """Delete all rows, so that the runs' numbers may come again."""
    with connection.constraint_checks_disabled(), transaction.atomic(), connection.cursor() as cursor:
        for model in reversed(list(apps.get_app_config("agents").get_models())):
            cursor.execute(f"DELETE FROM {model._meta.db_table}")  # noqa: S608 (names of our own tables)


class Stage:
    """The tables before and after each move, and the processes that act on them."""

    def __init__(self, folder: Path, workspaces: Sequence[Workspace]) -> None:
        self.folder = folder
        self.workspaces = workspaces
        self.now = BEGIN
        self.runs = 0
        self.stamps = 0
        self.label = ""
        self.processes = [Process(register(), open_store(), folder) for _ in range(3)]
        self.world = self.look()

    def close(self) -> None:
        for process in self.processes:
            process.store.close()

    # -- moves -----------------------------------------------------------------------------------------------------

    @contextmanager
    def move(self, label: str) -> Iterator[Tables]:
        """Make a move: the caller makes it on the tables and in the model; afterwards they must agree."""
        self.label = label
        before = self.world
        # Runs that come into being in this move have numbers already.
        missing = [Row(status="")] * (self.runs - len(before.rows))
        model = Tables([*before.rows, *missing], before.workers, Flaws())
        yield model
        self.world = after = self.look()
        expected = [comparable(row) for row in model.rows]
        seen = [comparable(row) for row in after.rows]
        for index, (ours, theirs) in enumerate(zip(expected, seen, strict=True)):
            demand(ours == theirs, f"{label}: run {index} became\n  {theirs}\nthe model has\n  {ours}")
        check_state(after)
        check_move(label, before, after)
        for old, new in zip(before.rows, after.rows, strict=False):
            demand(new.epoch >= old.epoch and new.wakes >= old.wakes, f"{label}: an epoch or the wakes went back")

    def look(self) -> World:
        """Read the tables."""
        return read_world(self.runs)

    def look_at_workers(self) -> None:
        """Take note of what moved no run."""
        self.world = self.world._replace(workers=read_workers())

    def next_index(self) -> int:
        self.runs += 1
        return self.runs - 1

    def stamp(self) -> datetime:
        self.stamps += 1
        return BEGIN + timedelta(milliseconds=self.stamps)

    # -- the journal -----------------------------------------------------------------------------------------------

    def claim(self, process: Process, limit: int, *, knows_all: bool = True) -> list[Hold]:
        """Claim alone, with the model; the lowest ranks, suspects by themselves."""
        with self.move(f"worker: claims up to {limit}") as model:
            process.number += 1
            request = ClaimRequest(limit, full=True, is_empty=not process.holds)
            expected = self._due(process, request)
            result = process.store.write(process.worker.pk, Batch(process.number, [], request), self.stamp())
            claimed = [index_of(run.id) for run in result.claimed]
            demand(claimed == expected, f"claimed {claimed}, due were {expected}")
            for index in claimed:
                model.claim_run(process.worker.pk, index)
        if not knows_all:
            return []  # the answer was lost
        holds = [self._hold(run) for run in result.claimed]
        process.holds += holds
        return holds

    def _due(self, process: Process, request: ClaimRequest) -> list[int]:
        """Give the runs that must be handed out, by asking the tables anew."""
        if Worker.objects.get(pk=process.worker.pk).state not in leases.LIVING:
            return []
        queued = Run.objects.filter(status="queued").order_by("rank").values_list("id", "suspect")
        suspects = [index_of(id) for id, suspect in queued if suspect]
        if request.is_empty and suspects:
            return suspects[:1]
        return [index_of(id) for id, suspect in queued if not suspect][: request.limit]

    @staticmethod
    def _hold(run: Claimed) -> Hold:
        parent = None if run.parent_id is None else index_of(run.parent_id)
        return Hold(index_of(run.id), run.epoch, run.wakes, run.wanted, parent, run.parent_key, has_read=run.is_fresh)

    def read(self, process: Process, hold: Hold) -> None:
        """Read a run's history or, later, its inbox."""
        if hold.has_read:
            history = process.store.messages(run_id(hold.index))
        else:
            history = process.store.histories([run_id(hold.index)])[run_id(hold.index)]
            hold.steps = history.steps
        hold.has_read = True
        hold.seen, hold.wanted = max(hold.seen, history.wakes), history.wanted
        new = [m for m in history.messages if m.id not in hold.taken and m.name != "log"]
        hold.early += new
        hold.taken |= {message.id for message in new}

    def write(self, process: Process, made: Sequence[tuple[Hold, Change]]) -> list[Answer]:
        """Write a batch, with the model; then once more, as after a lost answer, which must change nothing."""
        process.number += 1
        batch = Batch(process.number, [change for _, change in made])
        tokens = dict(self._tokens(made))
        with self.move(f"worker: commits {[(h.index, h.epoch, type(c.ending).__name__) for h, c in made]}") as model:
            consumed = [[tokens[id] for id in change.consumed] for change in batch.changes]
            expected = list(model.write_changes(process.worker.pk, batch, consumed))
            result: BatchResult = process.store.write(process.worker.pk, batch, self.stamp())
            demand(result.answers == expected, f"answered {result.answers}, the model {expected}")
        try:
            process.store.write(process.worker.pk, batch, self.stamp())
        except Unavailable:
            demand(self.look().rows == self.world.rows, "a batch that stands was written a second time")
        else:
            demand(False, "a batch that stands was taken a second time")
        for (hold, change), answer in zip(made, result.answers, strict=True):
            self._hand_out(process, hold, change, answer)
        return result.answers

    @staticmethod
    def _tokens(made: Sequence[tuple[Hold, Change]]) -> Iterator[tuple[int, str]]:
        ids = [id for _, change in made for id in change.consumed]
        yield from Inbox.objects.filter(id__in=ids).values_list("id", "token")

    @staticmethod
    def _hand_out(process: Process, hold: Hold, change: Change, answer: Answer) -> None:
        if isinstance(answer, Refused):
            # Who lost a lease may still write, again and again.
            if hold in process.holds:
                process.holds.remove(hold)
                process.lost = [*process.lost[-1:], hold]
            return
        assert isinstance(answer, Committed)
        for key, step in change.steps.items():
            step.is_stored = True
            hold.steps[key] = step
        hold.wanted = answer.wanted
        if change.ending is not None and answer.parked:
            process.holds.remove(hold)

    # -- what a process may write of a run -------------------------------------------------------------------------

    def change(self, hold: Hold) -> Change:
        return Change(
            run_id=run_id(hold.index),
            epoch=hold.epoch,
            workspace_id=Run.objects.values_list("workspace_id", flat=True).get(pk=run_id(hold.index)),
            parent_id=None if hold.parent is None else run_id(hold.parent),
            parent_key=hold.parent_key,
            root_id=run_id(hold.index),
        )

    def records(self, hold: Hold, status: Any = "succeeded", key: str = "") -> Change:
        """A step ends; it may be the answer to a message, or to a call."""
        change = self.change(hold)
        message = next((m for m in hold.early if m.name == key), None)
        if message is not None:
            hold.take(message, change)
        at = self.stamp()
        known = hold.steps.get(key)
        if known is not None and known.status == "running":
            change.steps[key] = known.follow(status=status, finished_at=at, error=None)
            change.steps[key].is_stored = True
        else:
            key = f"s{self.stamps}"
            change.steps[key] = StepRecord(key, "step", key, at, status=status, outcome="1", finished_at=at)
        if status == "failed":
            hold.failed = key
        change.events.append(EventRecord("step_finished", at, "{}"))
        return change

    def calls(self, hold: Hold, count: int) -> Change:
        """Sub-runs are queued."""
        change = self.change(hold)
        for _ in range(count):
            child, at = self.next_index(), self.stamp()
            key = call_key(child)
            change.steps[key] = StepRecord(key, "call", "call", at, input=encode({"run": run_id(child)}))
            change.children.append(ChildRecord(run_id(child), Target("protocol"), key, "{}", 0, at))
        return change

    def parks(self, hold: Hold, *, timer: int, event: bool, join: bool) -> Change | None:
        """The run waits for what is not there yet; None if there is nothing to wait for."""
        waits = [PAUSED] if hold.wanted == "pause" else []
        if timer:
            waits.append(WaitRecord("timer", "nap", due_at=self.now + timedelta(seconds=timer)))
        if event and not any(message.name == "go" for message in hold.early):
            waits.append(WaitRecord("event", "go"))
        if join and (calls := hold.open_calls()):
            waits.append(WaitRecord("child", "gather/", needed=len(calls)))
        if not waits or hold.wanted == "cancel":
            return None
        change = self.change(hold)
        change.ending = Park(tuple(waits), "", hold.seen)
        change.events.append(EventRecord("run_paused" if PAUSED in waits else "run_waiting", self.stamp(), "{}"))
        return change

    def ends(self, hold: Hold) -> Change:
        """The run ends as it must: cancelled, failed by its failed step, or with success."""
        change = self.change(hold)
        status: Any = "cancelled" if hold.wanted == "cancel" else "failed" if hold.failed else "succeeded"
        error = encode({"type": "E", "message": "", "step": hold.failed}) if status == "failed" else None
        change.ending = Finish(status, error=error)
        change.events.append(EventRecord(f"run_{status}", self.stamp(), "{}"))
        return change

    def releases(self, hold: Hold) -> Change:
        change = self.change(hold)
        change.ending = Release("worker stopped")
        change.events.append(EventRecord("run_queued", self.stamp(), "{}"))
        return change

    # -- who is alive ----------------------------------------------------------------------------------------------

    def living(self, worker_id: int | None) -> bool:
        return any(w.id == worker_id and w.is_living for w in self.world.workers)

    def begin_anew(self, process: Process, *, forgets: bool) -> None:
        """Another worker row for this process, or for its successor, which knows nothing."""
        process.worker = register()
        if forgets:
            process.holds.clear()
            process.lost.clear()
        self.look_at_workers()

    def state_of(self, process: Process) -> str:
        return Worker.objects.values_list("state", flat=True).get(pk=process.worker.pk)
