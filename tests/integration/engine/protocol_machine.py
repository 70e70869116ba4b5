"""What may happen to the real tables, as rules of a state machine that hypothesis plays in any order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from agents.engine import control, leases, reaping, retrying, suspects, waking
from agents.engine.ranking import next_rank
from agents.engine.records import Change, WaitRecord
from agents.models import Run, RunEvent, Wait, Worker
from tests.factories import make_workspace
from tests.integration.engine.protocol_stage import Hold, Process, Stage, empty, failed_and_later
from tests.protocol import transactions
from tests.protocol.state import Message, Row
from tests.protocol.tables import Flaws, Tables, demand, run_id

MOST_RUNS = 12
TELL, PAUSE, RESUME, RETRY, CANCEL = 0, 4, 6, 8, 9
"""Places in the list of words that people say."""
CHOICE = st.integers(0, 11)
"""Chooses among what is there just then, modulo how many there are."""


class Protocol(RuleBasedStateMachine):
    """What may happen to the tables. `folder` and `patch` are the test's."""

    folder: Path
    patch: pytest.MonkeyPatch

    @initialize()
    def begin(self) -> None:
        empty()
        self.stage = Stage(self.folder, [make_workspace(), make_workspace()])
        for module in (waking, control):
            self.patch.setattr(module, "database_now", lambda: self.stage.now)
        for whose in (0, 1, 0):
            self.start(whose=whose)

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            try:
                self.comes_to_rest()
            finally:
                self.stage.close()

    # -- rules: much work, some words, few faults ------------------------------------------------------------------

    @rule(what=CHOICE, then=CHOICE, which=CHOICE)
    def somebody_speaks(self, what: int, then: int, which: int) -> None:
        """Two words on one run, or twice the same"""
        self.speaks(what, which)
        self.speaks(then, which)

    def speaks(self, what: int, which: int) -> None:
        words = (*[self.tells] * 4, *[self.pauses] * 2, *[self.resumes] * 2, self.retries, self.cancels)
        words[what % len(words)](which)

    @rule(
        before=st.sampled_from((None, None, TELL, TELL, PAUSE, RESUME, CANCEL)),
        after=st.sampled_from(((), (PAUSE, TELL), (PAUSE, TELL, RESUME), (TELL, PAUSE), (CANCEL, RETRY))),
        who=CHOICE,
        which=CHOICE,
        timer=st.integers(0, 1),
    )
    def somebody_speaks_around_a_park(
        self, before: int | None, after: tuple[int, ...], who: int, which: int, timer: int
    ) -> None:
        """The window in which a wake could be lost, from the last look into the inbox to the park, and what follows"""
        process, hold = self.held(who, which)
        if hold is None or hold in process.lost:
            hold = next(iter(self.stage.claim(process, 1)), None)
        if hold is None:
            return
        self.stage.read(process, hold)
        if before is not None:
            self.speaks(before, hold.index)
        if change := self.stage.parks(hold, timer=timer, event=True, join=True):
            self.stage.write(process, [(hold, change)])
        for word in after:
            self.speaks(word, hold.index)

    @rule(who=CHOICE, what=CHOICE, knows_it=st.booleans())
    def a_worker_loses_its_leases(self, who: int, what: int, knows_it: bool) -> None:
        """Silent for too long it goes on claiming and writing; if it knows, under another name"""
        process = self.process(who)
        self.falls_silent(who)
        self.reaps()
        if knows_it:
            self.beats(who)
        self.stage.claim(process, 2)
        for hold in process.holds[:1]:
            change = self.made(hold, what, 1, True, True) or self.stage.releases(hold)
            self.stage.write(process, [(hold, change)])

    @rule(what=CHOICE, who=CHOICE, which=CHOICE)
    def something_befalls_a_worker(self, what: int, who: int, which: int) -> None:
        match what % 5:
            case 0:
                self.crashes(who, which)
            case 1:
                self.stops(who)
            case 2:
                self.proves_itself(who, which)
            case 3:
                self.gives_unknown_back(who)
            case _:
                self.beats(who)

    @rule(is_sweep=st.booleans(), seconds=st.integers(0, 2))
    def time_passes(self, is_sweep: bool, seconds: int) -> None:
        self.stage.now += timedelta(seconds=seconds)
        if is_sweep:
            self.sweeps()
        else:
            self.reaps()

    @rule(who=CHOICE, what=CHOICE, limit=st.integers(1, 2))
    def works(self, who: int, what: int, limit: int) -> None:
        """Claim, read and write at once, as goes it most of the time"""
        process = self.process(who)
        for hold in self.stage.claim(process, limit) or process.holds[:1]:
            self.stage.read(process, hold)
            if change := self.made(hold, what, limit, True, True):
                self.stage.write(process, [(hold, change)])

    @rule(who=CHOICE, which=CHOICE, what=CHOICE)
    def goes_on(self, who: int, which: int, what: int) -> None:
        process, hold = self.held(who, which)
        if hold is not None:
            self.stage.read(process, hold)
            if change := self.made(hold, what, what % 3, True, what % 2 == 0):
                self.stage.write(process, [(hold, change)])

    @rule(who=CHOICE, limit=st.integers(1, 3), knows_all=st.integers(0, 5))
    def claims(self, who: int, limit: int, knows_all: int) -> None:
        self.stage.claim(self.process(who), limit, knows_all=knows_all > 0)

    @rule(who=CHOICE, which=CHOICE)
    def reads(self, who: int, which: int) -> None:
        process, hold = self.held(who, which)
        if hold is not None:
            self.stage.read(process, hold)

    @rule(who=CHOICE, which=CHOICE, what=CHOICE, timer=st.integers(0, 2), event=st.booleans(), join=st.booleans())
    def writes(self, who: int, which: int, what: int, timer: int, event: bool, join: bool) -> None:
        process, hold = self.held(who, which)
        if hold is not None and (change := self.made(hold, what, timer, event, join)):
            self.stage.write(process, [(hold, change)])

    @rule(who=CHOICE, whats=st.lists(CHOICE, min_size=2, max_size=4))
    def writes_a_batch(self, who: int, whats: list[int]) -> None:
        process = self.process(who)
        held = [*process.holds, *process.lost]
        made = [(hold, self.made(hold, what, 1, True, True)) for hold, what in zip(held, whats, strict=False)]
        if batch := [(hold, change) for hold, change in made if change is not None]:
            self.stage.write(process, batch)

    def made(self, hold: Hold, what: int, timer: int, event: bool, join: bool) -> Change | None:
        """Give one of the changes that a process may make of a run; None if this one makes no sense now."""
        stage = self.stage
        if not hold.has_read:
            return None
        match what:
            case 0 | 1:
                return stage.records(hold)
            case 2:
                return stage.records(hold, "failed") if not hold.failed else None
            case 3 | 4:
                ready = [message for message in hold.early if message.name == "go" or message.name in hold.steps]
                return stage.records(hold, key=ready[0].name) if ready else None
            case 5 if hold.parent is None and stage.runs < MOST_RUNS:
                return stage.calls(hold, 1 + (timer > 0))
            case 6 | 7 | 8 | 9:
                return stage.parks(hold, timer=timer, event=event, join=join)
            case 10:
                return stage.ends(hold)
            case 11:
                return stage.releases(hold)
        return None

    def proves_itself(self, who: int, which: int) -> None:
        """A suspect has committed something: Driver._try_suspect"""
        process, hold = self.held(who, which)
        if hold is None or hold not in process.holds:
            return
        row = self.stage.world.rows[hold.index]
        with self.stage.move("worker: acquits") as model:
            suspects.acquit(run_id(hold.index), hold.epoch, has_proven_itself=True)
            if row.is_suspect and row.epoch == hold.epoch:
                transactions.acquit(model, hold.index)

    # -- leases ----------------------------------------------------------------------------------------------------

    def beats(self, who: int) -> None:
        """leases.heartbeat; a worker that finds itself dead registers anew, and may still write what it held"""
        process = self.process(who)
        is_alive = leases.heartbeat(process.worker.pk, busy=len(process.holds))
        demand(is_alive == self.stage.living(process.worker.pk), "a heartbeat of a dead worker was accepted")
        if not is_alive:
            self.stage.begin_anew(process, forgets=False)
        self.stage.look_at_workers()

    def falls_silent(self, who: int) -> None:
        Worker.objects.filter(pk=self.process(who).worker.pk).update(seen=0.0)
        self.stage.look_at_workers()

    def crashes(self, who: int, which: int) -> None:
        """The process is gone; what was on its processor is accused, and another takes its place."""
        process, hold = self.held(who, which)
        if self.stage.state_of(process) != "alive":
            return
        process.mark(hold.index if hold in process.holds and hold is not None else None)
        row = self.stage.world.rows[hold.index] if hold is not None and hold in process.holds else None
        with self.stage.move("reaper: buries") as model:
            reaping.reap(silent_too=False, watched=reaping.Watched(self.folder))
            if row is not None and hold is not None and (row.status, row.worker) == ("running", process.worker.pk):
                transactions.accuse(model, hold.index)
            self.requeue(model, lambda row: row.worker == process.worker.pk or not self.stage.living(row.worker))
        self.stage.begin_anew(process, forgets=True)

    def reaps(self) -> None:
        dead = {w.id for w in self.stage.world.workers if w.is_living and not w.is_recent}
        with self.stage.move("reaper: reaps") as model:
            reaping.reap()
            self.requeue(model, lambda row: row.worker in dead or not self.stage.living(row.worker))
        running = [row for row in self.stage.world.rows if row.status == "running"]
        demand(all(self.stage.living(row.worker) for row in running), "a run is held by nobody who lives")

    def stops(self, who: int) -> None:
        """A drain, at its end: leases.stop_worker; another process takes its place"""
        process = self.process(who)
        with self.stage.move("worker: stops") as model:
            leases.start_draining(process.worker.pk)
            leases.stop_worker(process.worker.pk)
            self.requeue(model, lambda row: row.worker == process.worker.pk)
        self.stage.begin_anew(process, forgets=True)

    def gives_unknown_back(self, who: int) -> None:
        """Driver._release_unknown: claims whose answer was lost"""
        process = self.process(who)
        known = {run_id(hold.index) for hold in process.holds}
        unknown = [id for id in leases.held_runs(process.worker.pk) if id not in known]
        with self.stage.move("worker: gives back what it does not know") as model:
            leases.release_runs(process.worker.pk, unknown)
            self.requeue(model, lambda row: row.worker == process.worker.pk, {id.int - 1 for id in unknown})

    @staticmethod
    def requeue(model: Tables, is_meant: Callable[[Row], bool], indexes: set[int] | None = None) -> None:
        for index, row in enumerate(model.rows):
            if row.status == "running" and is_meant(row) and (indexes is None or index in indexes):
                transactions.requeue(model, index)

    # -- people and time -------------------------------------------------------------------------------------------

    @precondition(lambda self: self.stage.runs < MOST_RUNS - 3)
    @rule(priority=st.integers(-1, 1), whose=st.integers(0, 1), delay=st.sampled_from((0, 0, 0, 2)))
    def starts(self, priority: int, whose: int, delay: int) -> None:
        self.start(priority, whose, delay)

    def start(self, priority: int = 0, whose: int = 0, delay: int = 0) -> None:
        """Accept a run, as services.runs does; its id is its number."""
        stage, workspace = self.stage, self.stage.workspaces[whose]
        index, status = stage.next_index(), "waiting" if delay else "queued"
        rank = next_rank(workspace.pk, stage.stamp(), priority)
        run = Run(id=run_id(index), workspace=workspace, workflow="protocol", priority=priority, rank=rank)
        run.status, run.last_event = status, 1
        run.save(force_insert=True)
        RunEvent.objects.create(run=run, number=1, kind="run_queued", at=stage.now, data={})
        if delay:
            due = stage.now + timedelta(seconds=delay)
            Wait.objects.create(run=run, kind="timer", name=control.NOT_BEFORE, due_at=due)
        stage.world = stage.look()

    def tells(self, which: int) -> None:
        index, row = self.run_of(which)
        token = f"go{sum(token.startswith('go') for token in row.tokens) % 3}"
        if row.status:
            with self.stage.move("person: tell") as model:
                was_told = control.tell(run_id(index), "go", 1, token=token)
                transactions.tell(model, index, Message("go", token))
                demand(was_told != row.has_ended, "tell answered wrongly")

    def cancels(self, which: int) -> None:
        index, row = self.run_of(which)
        if row.status:
            with self.stage.move("person: cancel") as model:
                control.cancel(run_id(index), by="a person")
                transactions.cancel(model, index)
                for below, child in enumerate(self.stage.world.rows):
                    if child.parent == index:
                        transactions.cancel(model, below)

    def pauses(self, which: int) -> None:
        index, row = self.run_of(which)
        self.asks(control.pause, transactions.can_pause(row), "pause", index, transactions.pause)

    def resumes(self, which: int) -> None:
        index, row = self.run_of(which)
        is_early = any(w.name == control.NOT_BEFORE and w.due_at and w.due_at > self.stage.now for w in row.waits)

        def resume(model: Tables, index: int) -> None:
            transactions.resume(model, index, is_early=is_early)

        self.asks(control.resume, transactions.can_resume(row), "resume", index, resume)

    def retries(self, which: int) -> None:
        index, _ = self.run_of(which)
        can = transactions.can_retry(Tables(self.stage.world.rows, (), Flaws()), index)
        aside = failed_and_later(run_id(index))
        self.asks(retrying.retry, can, "retry", index, partial(transactions.retry, aside=aside))

    def asks(
        self, ask: Callable[..., object], can: bool, what: str, index: int, act: Callable[[Tables, int], None]
    ) -> None:
        if not self.stage.world.rows[index].status:
            return
        with self.stage.move(f"person: {what}") as model:
            try:
                ask(run_id(index), by="a person")
            except control.CannotDo:
                demand(not can, f"{what} was refused")
            else:
                demand(can, f"{what} was taken")
                act(model, index)

    def sweeps(self) -> None:
        now = self.stage.now

        def is_due(wait: WaitRecord) -> bool:
            return wait.due_at is not None and wait.due_at <= now

        with self.stage.move("sweep: timers") as model:
            waking.wake_due()
            for index, row in enumerate(model.rows):
                if row.status == "waiting" and any(map(is_due, row.waits)):
                    transactions.wake_due(model, index, is_due)

    # -- the end ---------------------------------------------------------------------------------------------------

    def comes_to_rest(self) -> None:
        """Nothing is stuck: with a person who resumes and tells, and a new worker, all runs come to an end."""
        stage = self.stage
        for process in stage.processes:
            Worker.objects.filter(pk=process.worker.pk).update(seen=0.0)
        reaping.reap()
        stage.world = stage.look()
        process = stage.processes[0]
        stage.begin_anew(process, forgets=True)
        for _ in range(8 * MOST_RUNS):
            stage.world = stage.look()
            if all(not row.status or row.has_ended for row in stage.world.rows):
                return
            stage.now += timedelta(seconds=3)
            self.sweeps()
            for index, row in enumerate(stage.world.rows):
                if row.is_paused or row.wanted == "pause":
                    self.resumes(index)
                elif row.status == "waiting":
                    control.tell(run_id(index), "go", 1)
                    stage.world = stage.look()
            for hold in stage.claim(process, 3):
                stage.read(process, hold)
                self.ends(process, hold)
        demand(False, f"stuck: {[row for row in stage.world.rows if row.status and not row.has_ended]}")

    def ends(self, process: Process, hold: Hold) -> None:
        """Do what the engine would: read of the sub-runs' ends, wait for the others, end."""
        stage = self.stage
        for message in [m for m in hold.early if m.name in hold.steps]:
            stage.write(process, [(hold, stage.records(hold, key=message.name))])
        change = stage.parks(hold, timer=0, event=False, join=True)
        stage.write(process, [(hold, change or stage.ends(hold))])

    # -- who and which ---------------------------------------------------------------------------------------------

    def process(self, who: int) -> Process:
        return self.stage.processes[who % len(self.stage.processes)]

    def held(self, who: int, which: int) -> tuple[Process, Hold | None]:
        """Give a process, that one or the next that holds something, and what it holds or held until it lost it."""
        for turn in range(len(self.stage.processes)):
            process = self.process(who + turn)
            if holds := [*process.holds, *process.lost]:
                return process, holds[which % len(holds)]
        return self.process(who), None

    def run_of(self, which: int) -> tuple[int, Row]:
        index = which % self.stage.runs
        return index, self.stage.world.rows[index]
