"""The driver: one asyncio loop that works on up to `slots` runs at once.

It claims what is due, hands each run to an Execution, keeps the lease alive, notices what others told its runs, and
sweeps for timers and for workers that died.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

from agents.engine import control, database_clock, leases, reaping, suspects, waking
from agents.engine.clock import WorkerClock
from agents.engine.context import Context
from agents.engine.directory import agent_config, resolve_target
from agents.engine.errors import UnknownWorkflow
from agents.engine.execution import Execution
from agents.engine.journal.journal import Journal, Lease
from agents.engine.journal.store import Store, Unavailable
from agents.engine.marks import Marks
from agents.engine.ports import AgentConfig, Ports
from agents.engine.records import Claimed, ClaimRequest, History, Target, WaitRecord
from agents.engine.registry import find_workflow, known_workflows
from agents.engine.scope import current_scope
from agents.engine.worker_settings import WorkerSettings

logger = logging.getLogger(__name__)
T = TypeVar("T")

SLICE = 0.005
"""How long replays may keep the loop, in seconds."""
WATCH_GAP = 0.2
TICK = 0.25
WEDGED = 120.0
"""Seconds that the journal may wait for one answer while the database answers others: many statements' patience."""
TRIAL_GAP, TRIAL_MARGIN = 0.05, 2.0
THREADS = 32
FORGET_EVERY = 60.0


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
        self.queue = queue
        self._clock = WorkerClock()
        self.lease_seconds = settings.lease
        self.short_pause = settings.short_pause
        self.linger = settings.linger
        self.executions: dict[UUID, Execution] = {}
        self.worker_id = 0
        self.is_draining = False
        self._writer_store = open_store()
        self._reader_store = open_store()
        self._writing = ThreadPoolExecutor(1, "journal")
        self._reading = ThreadPoolExecutor(1, "history")
        self._chores = ThreadPoolExecutor(1, "chores")
        self._steps = ThreadPoolExecutor(THREADS, "step")
        self.journal = Journal(
            self._writer_store, 0, self._writing, self._clock, on_lost=self._on_lost, on_told=self._on_told
        )
        self._starting: set[UUID] = set()
        self._unknown: set[UUID] = set()
        self._steady_since = 0.0
        self._agents: dict[int, AgentConfig] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._due = asyncio.Event()
        self._look = asyncio.Event()
        self._stop = asyncio.Event()
        self._more = False
        self._full_scan_at = 0.0
        self._slice_began = 0.0
        self._lease_until = 0.0
        self.has_stepped_aside = False
        self._watched = reaping.Watched(settings.marks_folder, settings.watchdog)
        self._is_alone = False
        self._answered_at = 0.0
        self._patience = suspects.Patience(settings.suspect_patience)

    async def run(self) -> None:
        """Work until `stop` is called, then drain."""
        asyncio.get_running_loop().set_task_factory(self.marks.task_factory)
        ticking = asyncio.create_task(self._tick_forever())
        stopping = asyncio.create_task(self._stop.wait())
        if not await self._registered(stopping):
            ticking.cancel()
            self._close()
            return
        loops = [
            self.journal.write_forever(),
            self._claim_forever(),
            self._watch_forever(),
            self._beat_forever(),
            self._sweep_forever(),
        ]
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()
                raise RuntimeError("A loop of the worker ended by itself.")
            await self._drain()
        finally:
            for task in [stopping, ticking, *tasks]:
                task.cancel()
            self._close()

    def _close(self) -> None:
        """Let go of the threads; each closes its own connection, as nobody else may."""
        closings = (
            (self._writing, self._writer_store.close),
            (self._reading, self._reader_store.close),
            (self._chores, lambda: connection.close()),  # the thread's own, not the one of this thread
        )
        for pool, close in closings:
            pool.submit(close)
            pool.shutdown(wait=False)
        self._steps.shutdown(wait=False, cancel_futures=True)

    def poke(self) -> None:
        """Look for due runs and for news of the running ones. Belongs to the loop."""
        self._full_scan_at = 0.0
        self._due.set()
        self._look.set()

    def stop(self) -> None:
        """Drain and end. Belongs to the loop."""
        self._stop.set()

    @property
    def clock(self) -> WorkerClock:
        """The database's time, as this worker knows it."""
        return self._clock

    # -- what executions need ------------------------------------------------------------------------------------

    async def load_messages(self, run_id: UUID) -> History:
        return await self._read(self._reader_store.messages, run_id)

    async def load_large(self, id: UUID) -> bytes:
        return await self._read(self._reader_store.large, id)

    async def resolve_target(self, workspace_id: int, name: str) -> Target:
        return await self._chore(resolve_target, workspace_id, name)

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        scope = current_scope.get()
        call = partial(self.marks.in_thread, partial(function, *args), scope.mark if scope else b"")
        return await asyncio.get_running_loop().run_in_executor(self._steps, call)

    def cancel_child(self, run_id: str) -> None:
        self._spawn(self._chore(lambda: control.cancel(UUID(run_id), by="its parent")))

    def lease_left(self) -> float:
        return self._lease_until - time.monotonic()

    async def breathe(self) -> None:
        now = time.monotonic()
        if now - self._slice_began > SLICE:
            await asyncio.sleep(0)
            self._slice_began = time.monotonic()

    # -- claiming and driving ------------------------------------------------------------------------------------

    async def _claim_forever(self) -> None:
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
        histories = await self._read(self._reader_store.histories, used) if used else {}
        for run in claimed:
            agent = await self._agent(run.agent_version_id)
            if older := self.executions.get(run.id):
                # We were taken for dead, others queued the run, and now it is ours again, in another epoch.
                self.journal.discard(older.lease)
                older.lose()
            execution = Execution(run, self, agent, histories.get(run.id))
            self.executions[run.id] = execution
            self._starting.discard(run.id)
            if self.is_draining:
                execution.drain()
            self._spawn(self._drive(execution))
            if run.is_suspect:
                self._spawn(self._try_suspect(execution))

    async def _drive(self, execution: Execution) -> None:
        try:
            workflow = find_workflow(execution.claimed.workflow)
        except UnknownWorkflow as error:
            await execution.park_unstarted(WaitRecord("worker", name=error.name))
        else:
            await execution.run(lambda x: workflow.function(Context(x), x.input))
        finally:
            if self.executions.get(execution.id) is execution:
                del self.executions[execution.id]
            if self._more:
                self._due.set()

    async def _try_suspect(self, execution: Execution) -> None:
        """Take nothing else until the suspect has proven itself or left."""
        trial = suspects.Trial(execution)
        try:
            while self._holds(execution) and not trial.has_proven_itself:
                await asyncio.sleep(TRIAL_GAP)
            if self._holds(execution) or trial.may_rest:
                await self._chore(
                    partial(suspects.acquit, execution.id, execution.claimed.epoch, has_left=not self._holds(execution))
                )
            if self._holds(execution) and await self._chore(suspects.are_waiting):
                # The next one's turn: others take this one.
                execution.drain()
                ends = time.monotonic() + TRIAL_MARGIN
                while self._holds(execution) and time.monotonic() < ends:
                    await asyncio.sleep(TRIAL_GAP)
        finally:
            self._is_alone = False
            self.poke()

    def _holds(self, execution: Execution) -> bool:
        return self.executions.get(execution.id) is execution

    async def _agent(self, version_id: int | None) -> AgentConfig | None:
        if version_id is None:
            return None
        if version_id not in self._agents:
            self._agents[version_id] = await self._chore(agent_config, version_id)
        return self._agents[version_id]

    def _on_lost(self, lease: Lease) -> None:
        execution = self.executions.get(lease[0])
        if execution is not None and execution.lease == lease:
            execution.lose()

    def _on_told(self, run_id: UUID) -> None:
        if execution := self.executions.get(run_id):
            execution.look_again()

    # -- news and lease ------------------------------------------------------------------------------------------

    async def _watch_forever(self) -> None:
        while True:
            await self._wait(self._look, self.settings.poll)
            if self.executions:
                for run_id, epoch, wakes, wanted in await self._read(self._reader_store.watch, self.worker_id):
                    execution = self.executions.get(run_id)
                    if execution is not None and execution.claimed.epoch == epoch:
                        execution.notice(wakes, wanted)
                await asyncio.sleep(WATCH_GAP)

    async def _tick_forever(self) -> None:
        """Show that the loop turns. An outage is no reason to be killed, a journal that hangs by itself is."""
        loop = asyncio.get_running_loop()
        while True:
            began = self.journal.attempt_began
            is_answered = loop.time() - self._answered_at < self.settings.lease
            if began is None or loop.time() - began < WEDGED or not is_answered:
                self.marks.tick()
            await asyncio.sleep(TICK)

    async def _beat_forever(self) -> None:
        written = -1
        while True:
            await asyncio.sleep(self.settings.heartbeat)
            # Alive means moving: a worker whose journal is stuck must not keep its runs.
            if self.journal.batches_written == written and self.journal.is_busy:
                logger.warning("no heartbeat: the journal does not move")
                continue
            written = self.journal.batches_written
            await self._beat()

    async def _beat(self) -> None:
        began = time.monotonic()
        try:
            is_alive = await self._once(lambda: leases.heartbeat(self.worker_id, busy=len(self.executions)))
            if is_alive:
                if began > self._lease_until:
                    self._steady_since = began
                self._lease_until = began + self.settings.lease
                self._clock.set(await self._once(database_clock.database_now))
                await self._release_unknown()
            else:
                await self._start_anew()
        except Unavailable as error:
            logger.warning("no heartbeat: %s", error)

    async def _release_unknown(self) -> None:
        """Give back what the tables say we hold and we know nothing of: a claim whose answer was lost.

        An answer may just be on its way, so only what was unknown at the last heartbeat too is given back.
        """
        held = set(await self._once(leases.held_runs, self.worker_id))
        unknown = held - set(self.executions) - self._starting
        if lost := unknown & self._unknown:
            await self._once(leases.release_runs, self.worker_id, lost)
        self._unknown = unknown

    async def _start_anew(self) -> None:
        """Others declared this worker dead: its runs are theirs now."""
        logger.error("worker %s was declared dead; it abandons its runs and registers anew", self.worker_id)
        for execution in list(self.executions.values()):
            self.journal.discard(execution.lease)
            execution.lose()
        await self._register()

    async def _registered(self, stopping: asyncio.Task[Any]) -> bool:
        """Register, for as long as it takes the database to be there; False if the worker is to stop before."""
        registering = asyncio.create_task(self._register())
        await asyncio.wait([stopping, registering], return_when=asyncio.FIRST_COMPLETED)
        if registering.done():
            registering.result()
            return True
        registering.cancel()
        return False

    async def _register(self) -> None:
        began = time.monotonic()
        worker = await self._chore(
            lambda: leases.register_worker(queue=self.queue, slots=self.settings.slots, lease=self.settings.lease)
        )
        self.worker_id = self.journal.worker_id = worker.pk
        self._lease_until = began + self.settings.lease
        self._clock.set(await self._chore(database_clock.database_now))

    async def _sweep_forever(self) -> None:
        forget_at = 0.0
        while True:
            pause = self.settings.poll
            try:
                # Just back from an outage, the silence of others is the outage's.
                is_steady = time.monotonic() - self._steady_since > self.settings.lease
                queued = await self._once(partial(reaping.reap, silent_too=is_steady, watched=self._watched))
                sweep = await self._once(waking.wake_due)
                queued += sweep.queued + await self._once(lambda: waking.wake_for_workflows(known_workflows()))
                if queued:
                    self.poke()
                if sweep.next_due is not None:
                    pause = min(pause, max(0.01, sweep.next_due))
                if await self._once(self._patience.is_worn_out, self.worker_id, self.queue):
                    logger.warning("suspects wait for an empty worker: worker %s gives its runs back", self.worker_id)
                    self.has_stepped_aside = True
                    self.stop()
                if time.monotonic() > forget_at:
                    forget_at = time.monotonic() + FORGET_EVERY
                    await self._once(leases.forget)
            except Unavailable as error:
                logger.warning("no sweep: %s", error)
            await asyncio.sleep(pause)

    # -- stopping ------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Take nothing new, let steps end within their grace, give the rest back."""
        self.is_draining = True
        logger.info("worker %s drains %s runs", self.worker_id, len(self.executions))
        await self._chore(leases.start_draining, self.worker_id)
        for execution in list(self.executions.values()):
            execution.drain()
        ends = time.monotonic() + self.settings.grace
        while (self.executions or self._starting) and time.monotonic() < self._grace_ends(ends):
            await asyncio.sleep(0.02)
        for execution in list(self.executions.values()):
            execution.give_back()
        ends = time.monotonic() + 2.0
        while self.executions and time.monotonic() < ends:
            await asyncio.sleep(0.02)
        await self.ports.model.aclose()
        await self._chore(leases.stop_worker, self.worker_id)

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

    # -- threads -------------------------------------------------------------------------------------------------

    async def _read(self, function: Callable[..., T], *args: Any) -> T:
        """Call the reading store on its thread, for as long as it takes the database to come back."""
        pause = 0.05
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._reading, function, *args)
            except Unavailable as error:
                logger.warning("database away: %s", error)
                self._reader_store.close()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    async def _chore(self, function: Callable[..., T], *args: Any) -> T:
        """Call ORM code on the chores' thread, for as long as it takes the database to come back."""
        pause = 0.05
        while True:
            try:
                return await self._once(function, *args)
            except Unavailable as error:
                logger.warning("database away: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    async def _once(self, function: Callable[..., T], *args: Any) -> T:
        answer = await asyncio.get_running_loop().run_in_executor(self._chores, _with_django, function, *args)
        self._answered_at = asyncio.get_running_loop().time()
        return answer

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


def _with_django(function: Callable[..., T], *args: Any) -> T:
    """Call ORM code; a broken connection is dropped so that the next call opens a new one."""
    try:
        return function(*args)
    except (OperationalError, InterfaceError) as error:
        connection.close()
        raise Unavailable(str(error)) from error
