"""The driver: one asyncio loop that works on up to `slots` runs at once.

It claims what is due, hands each run to an Execution, and notices what others told its runs. Its place among the
workers (membership.py) and what it does for all of them (sweeping.py) have loops of their own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from agents.engine import beside, leases, pausing, suspects
from agents.engine.admitting import Admissions
from agents.engine.clock import WorkerClock
from agents.engine.context import Context
from agents.engine.directory import agent_config
from agents.engine.errors import UnknownWorkflow
from agents.engine.execution import Execution
from agents.engine.hosting import WorkerHost
from agents.engine.journal.journal import Journal, Lease
from agents.engine.journal.store import Store
from agents.engine.marks import Marks
from agents.engine.membership import Membership
from agents.engine.ports import AgentConfig, Ports
from agents.engine.records import Claimed, ClaimRequest, History, WaitRecord
from agents.engine.registry import find_workflow
from agents.engine.sweeping import Sweeper
from agents.engine.tree_keeping import TreeKeeper
from agents.engine.worker_settings import WorkerSettings
from agents.engine.worker_threads import WorkerThreads

logger = logging.getLogger(__name__)

WATCH_GAP = 0.2
TICK = 0.25
WEDGED = 120.0
"""Seconds that the journal may wait for one answer while the database answers others: many statements' patience."""
TRIAL_GAP, TRIAL_MARGIN = 0.05, 2.0
DRAIN_GAP, LEAVE_TIME, TELL_TIME = 0.02, 2.0, 5.0


class Driver:
    """Drives runs on the running event loop until it is stopped."""

    def __init__(
        self,
        settings: WorkerSettings,
        ports: Ports,
        open_store: Callable[[], Store],
        *,
        queue: str,
        marks: Marks | None = None,
    ) -> None:
        self.settings = settings
        self.marks = marks or Marks()
        self.ports = ports
        self.clock = WorkerClock()
        self.executions: dict[UUID, Execution] = {}
        self.is_draining = False
        self.has_stepped_aside = False
        self._threads = threads = WorkerThreads(open_store, patience=settings.lease / 2)
        self.journal = journal = Journal(
            threads.writer, 0, threads.writing, self.clock, on_lost=self._on_lost, on_told=self._on_told
        )
        self._membership = Membership(
            settings, threads, journal, self.clock, queue=queue, held=self._held, abandon=self._abandon
        )
        self._trees = TreeKeeper(threads, lambda: self.worker_id, self.executions)
        self._host = self._make_host()
        self._admissions = Admissions(threads, self.executions.values)
        self._sweeper = Sweeper(settings, threads, self._admissions, queue=queue)
        self._beside = {name: self._make_beside() for name in ports.beside}
        self._starting: set[UUID] = set()
        self._agents: dict[int, AgentConfig] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._due = asyncio.Event()
        self._look = asyncio.Event()
        self._stop = asyncio.Event()
        self._is_alone = False
        self._more = False
        self._full_scan_at = 0.0

    def _make_host(self) -> WorkerHost:
        """Make what the executions know of this worker."""
        return WorkerHost(
            self.settings,
            self.ports,
            self.marks,
            self._threads,
            self.journal,
            self.clock,
            self._trees.ledger,
            lease_left=lambda: self._membership.lease_left,
            spawn=self._spawn,
        )

    def _make_beside(self) -> beside.Worker:
        """Make what a side loop knows of this worker."""
        return beside.Worker(
            lambda: self.worker_id, lambda: self.is_draining, poke=self.poke, patience=self.settings.lease / 2
        )

    @property
    def worker_id(self) -> int:
        """The id of this worker's row; 0 until it has registered."""
        return self.journal.worker_id

    async def run(self) -> None:
        """Work until `stop` is called, then drain."""
        asyncio.get_running_loop().set_task_factory(self.marks.task_factory)
        ticking = asyncio.create_task(self._tick_forever())
        stopping = asyncio.create_task(self._stop.wait())
        tasks: list[asyncio.Task[Any]] = []
        try:
            if await self._membership.register(stopping):
                tasks += [asyncio.create_task(loop) for loop in self._loops()]
                done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stopping}:
                    task.result()
                    raise RuntimeError("A loop of the worker ended by itself.")
                await self._drain()
        finally:
            for task in [stopping, ticking, *tasks]:
                task.cancel()
            self._threads.close()

    def _loops(self) -> list[Coroutine[Any, Any, None]]:
        sweeping = self._sweeper.sweep_forever(
            worker_id=lambda: self.worker_id,
            is_steady=lambda: self._membership.is_steady,
            on_queued=self.poke,
            step_aside=self._step_aside,
        )
        return [
            *(beside.keep_going(loop, self._beside[name], name) for name, loop in self.ports.beside.items()),
            self.journal.write_forever(),
            self._claim_forever(),
            self._watch_forever(),
            self._membership.beat_forever(),
            self._trees.oversee_forever(),
            sweeping,
        ]

    def poke(self) -> None:
        """Look for due runs and for news of the running ones. Belongs to the loop."""
        self._full_scan_at = 0.0
        self._due.set()
        self._look.set()
        for worker in self._beside.values():
            worker.news.set()

    def stop(self) -> None:
        """Drain and end. Belongs to the loop."""
        self._stop.set()

    # -- claiming and driving ------------------------------------------------------------------------------------

    async def _claim_forever(self) -> None:
        await self._admissions.begin()
        while True:
            await self._wait(self._due, self.settings.poll)
            held = len(self.executions) + len(self._starting)
            free = self.settings.slots - held
            if self.is_draining or self._is_alone or free <= 0:
                self._more = True
                continue
            limit = min(free, self.settings.claim_at_once)
            claimed = await self.journal.claim(ClaimRequest(limit, self._wants_full_scan(), is_empty=not held))
            self._is_alone = any(run.is_suspect for run in claimed)
            self._more = len(claimed) == limit
            if self._more:
                self._due.set()
            if claimed:
                self._starting |= {run.id for run in claimed}
                self._spawn(self._start(claimed))

    def _wants_full_scan(self) -> bool:
        now = time.monotonic()
        if now - self._full_scan_at < self.settings.poll:
            return False
        self._full_scan_at = now
        return True

    async def _start(self, claimed: list[Claimed]) -> None:
        used = [run.id for run in claimed if not run.is_fresh]
        try:
            histories = await self._threads.read(self._threads.reader.histories, used) if used else {}
            for run in claimed:
                try:
                    await self._begin(run, histories.get(run.id))
                except Exception as error:  # one run's bad record must not hold the others up
                    logger.exception("run %s can't be started", run.id)
                    unread = Execution(replace(run, tools=None), self._host, None, None)
                    self._spawn(self._fail(self._hold(unread), error))
        finally:
            # What was not begun is unknown from here on: the heartbeats give it back.
            self._starting.difference_update(run.id for run in claimed)

    async def _begin(self, run: Claimed, history: History | None) -> None:
        execution = self._hold(Execution(run, self._host, await self._agent(run.agent_version_id), history))
        if self.is_draining:
            execution.drain()
        self._trees.greet(execution)
        self._spawn(self._drive(execution))
        if run.is_suspect:
            self._spawn(self._try_suspect(execution))

    def _hold(self, execution: Execution) -> Execution:
        if older := self.executions.get(execution.id):
            # We were taken for dead, others queued the run, and now it is ours again, in another epoch.
            self.journal.discard(older.lease)
            older.lose()
        self.executions[execution.id] = execution
        self._starting.discard(execution.id)
        return execution

    async def _drive(self, execution: Execution) -> None:
        try:
            workflow = find_workflow(execution.claimed.workflow)
        except UnknownWorkflow as error:
            await execution.park_unstarted(WaitRecord("worker", name=error.name))
        else:
            place = await self._admissions.wait_of(execution) if self._admissions.is_capped(execution) else None
            if place is not None:
                await execution.park_unstarted(place)
            else:
                await execution.run(lambda x: workflow.function(Context(x), x.input))
        finally:
            self._let_go(execution)
            if execution.is_pausing:
                # Until it had parked it might still start sub-runs.
                self._spawn(self._threads.chore(partial(pausing.pause_with, execution.id)))

    async def _fail(self, execution: Execution, error: Exception) -> None:
        try:
            await execution.fail_unstarted(error)
        finally:
            self._is_alone = False
            self._let_go(execution)

    def _let_go(self, execution: Execution) -> None:
        if self._holds(execution):
            del self.executions[execution.id]
        self._sweeper.has_left(execution.id, frees_a_place=self._admissions.frees_a_place(execution))
        if self._more:
            self._due.set()

    async def _try_suspect(self, execution: Execution) -> None:
        """Take nothing else until the suspect has proven itself or left."""
        trial = suspects.Trial(execution)
        try:
            while self._holds(execution) and not trial.has_proven_itself:
                await asyncio.sleep(TRIAL_GAP)
            if (proven := trial.has_proven_itself) or trial.may_rest:
                # Proven, it is acquitted wherever it is by now: it may be parking at this moment.
                epoch = execution.claimed.epoch
                await self._threads.chore(partial(suspects.acquit, execution.id, epoch, has_proven_itself=proven))
            if self._holds(execution) and await self._threads.chore(suspects.are_waiting):
                # The next one's turn: others take this one.
                execution.drain()
                ends = time.monotonic() + TRIAL_MARGIN
                while self._holds(execution) and time.monotonic() < ends:
                    await asyncio.sleep(TRIAL_GAP)
        finally:
            self._is_alone = False
            self.poke()

    def _held(self) -> set[UUID]:
        return self.executions.keys() | self._starting

    def _holds(self, execution: Execution) -> bool:
        return self.executions.get(execution.id) is execution

    async def _agent(self, version_id: int | None) -> AgentConfig | None:
        if version_id is None:
            return None
        if version_id not in self._agents:
            self._agents[version_id] = await self._threads.chore(agent_config, version_id)
        return self._agents[version_id]

    def _on_lost(self, lease: Lease) -> None:
        execution = self.executions.get(lease[0])
        if execution is not None and execution.lease == lease:
            execution.lose()

    def _on_told(self, run_id: UUID) -> None:
        if execution := self.executions.get(run_id):
            execution.look_again()

    # -- news ----------------------------------------------------------------------------------------------------

    async def _watch_forever(self) -> None:
        while True:
            await self._wait(self._look, self.settings.poll)
            if self.executions:
                for run_id, epoch, wakes, wanted in await self._threads.read(
                    self._threads.reader.watch, self.worker_id
                ):
                    execution = self.executions.get(run_id)
                    if execution is not None and execution.claimed.epoch == epoch:
                        execution.notice(wakes, wanted)
                await asyncio.sleep(WATCH_GAP)

    async def _tick_forever(self) -> None:
        """Show that the loop turns. An outage is no reason to be killed, a journal that hangs by itself is."""
        loop = asyncio.get_running_loop()
        while True:
            began = self.journal.attempt_began
            is_answered = loop.time() - self._threads.answered_at < self.settings.lease
            if began is None or loop.time() - began < WEDGED or not is_answered:
                self.marks.tick()
            await asyncio.sleep(TICK)

    # -- stopping ------------------------------------------------------------------------------------------------

    def _abandon(self) -> None:
        """Others declared this worker dead: its runs are theirs now."""
        for execution in list(self.executions.values()):
            self.journal.discard(execution.lease)
            execution.lose()

    def _step_aside(self) -> None:
        """Make room for a suspect: the process that comes next holds nothing."""
        self.has_stepped_aside = True
        self.stop()

    async def _drain(self) -> None:
        """Take nothing new, let steps end within their grace, give the rest back."""
        self.is_draining = True
        logger.info("worker %s drains %s runs", self.worker_id, len(self.executions))
        for execution in list(self.executions.values()):
            execution.drain()
        self._spawn(self._tell(leases.start_draining))
        ends = time.monotonic() + self.settings.grace
        while (self.executions or self._starting) and time.monotonic() < self._grace_ends(ends):
            await asyncio.sleep(DRAIN_GAP)
        for execution in list(self.executions.values()):
            execution.give_back()
        ends = time.monotonic() + LEAVE_TIME
        while self.executions and time.monotonic() < ends:
            await asyncio.sleep(DRAIN_GAP)
        await self.ports.model.aclose()
        await self._tell(leases.stop_worker)

    async def _tell(self, what: Callable[[int], object]) -> None:
        """Tell the others about this worker. One that is to stop does not wait for a database that is away."""
        with suppress(TimeoutError):
            async with asyncio.timeout(TELL_TIME):
                await self._threads.chore(what, self.worker_id)

    def _grace_ends(self, ends: float) -> float:
        """An unsafe step may reach its own timeout: cut off in between, its outcome would be unknown."""
        loop_now, now = asyncio.get_running_loop().time(), time.monotonic()
        left = [
            step.deadline - loop_now
            for execution in self.executions.values()
            for step in execution.open.values()
            if step.is_unsafe and step.deadline is not None
        ]
        return max([ends, *(now + seconds for seconds in left)])

    def _spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._spawned_ended)

    def _spawned_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a task of the worker failed", exc_info=error)

    @staticmethod
    async def _wait(event: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        event.clear()
