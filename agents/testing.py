"""Unit tests for workflows: run them on an in-memory journal, without database, worker or waiting.

    from agents.testing import WorkflowTest

    def test_greets():
        test = WorkflowTest()
        run = test.run(greet, {"name": "you"})
        assert run.output == "Hello, you"

Timers do not take time: when every run waits, the clock is moved to the next one. `crash_after=n` drops the run after
its n-th committed batch, `crash_when` as soon as a condition holds, and lets it start again, as a killed worker would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor as FutureExecutor
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from agents.engine.asking import Verdict, answer_name, answer_token
from agents.engine.canonical import JSON, decode, encode, recorded
from agents.engine.caps import NOTHING, Caps
from agents.engine.clock import ManualClock
from agents.engine.context import Context
from agents.engine.errors import Permanent, UnknownWorkflow
from agents.engine.execution import Execution
from agents.engine.happening_records import Happening, Listening, told_name, told_token
from agents.engine.journal.journal import Journal, Lease
from agents.engine.journal.memory import MemoryRun, MemoryStore
from agents.engine.journal.transitions import wake
from agents.engine.ledger import Decide, Ledger
from agents.engine.marks import Marks
from agents.engine.ports import (
    AgentConfig,
    ModelPort,
    Ports,
    SubAgent,
    ToolPort,
)
from agents.engine.records import (
    ENDED,
    ChildRecord,
    Claimed,
    ClaimRequest,
    History,
    MessageRecord,
    StepRecord,
    Target,
    WaitRecord,
)
from agents.engine.registry import WorkflowFunction, find_workflow, known_workflows
from agents.engine.starts import Starts
from agents.matching import matches
from agents.scripted import MemoryArtifacts, NoPartials, ScriptedModel, ScriptedTools
from agents.triggers.patterns import fits

__all__ = ["ScriptedModel", "ScriptedTools", "TestAgent", "TestRun", "WorkflowTest"]


@dataclass(frozen=True, slots=True)
class TestAgent:
    """An agent that others can run, with the workflow it has."""

    __test__ = False

    config: AgentConfig
    workflow: str = "react"
    description: str = ""


@dataclass(frozen=True, slots=True)
class TestRun:
    """A run as it stands after the test."""

    __test__ = False

    memory: MemoryRun
    larges: dict[UUID, bytes] = field(default_factory=dict)

    @property
    def status(self) -> str:
        return self.memory.row.status

    @property
    def reason(self) -> str:
        return self.memory.row.reason

    @property
    def output(self) -> JSON:
        return decode(self.memory.row.output)

    @property
    def error(self) -> JSON:
        return decode(self.memory.row.error)

    @property
    def steps(self) -> dict[str, StepRecord]:
        return self.memory.steps

    @property
    def events(self) -> list[str]:
        return [event.kind for _, event in self.memory.events]


class WorkflowTest:
    """An in-memory engine. `model` and `tools` are ports; see ScriptedModel and ScriptedTools.

    `agent` is the one that the tested run has, `agents` are those that it may run or delegate to.
    """

    __test__ = False
    lease_seconds = 8.0
    short_pause = 0.0
    linger = 0.0

    def __init__(
        self,
        *,
        model: ModelPort | None = None,
        tools: ToolPort | None = None,
        agent: AgentConfig | None = None,
        agents: Iterable[TestAgent] = (),
        clock: ManualClock | None = None,
    ) -> None:
        self.store = MemoryStore()
        self._clock = clock or ManualClock()
        self.ports = Ports(model or ScriptedModel(), tools or ScriptedTools(), NoPartials(), MemoryArtifacts())
        self.marks = Marks()
        self.starts = Starts()
        self.ledger = Ledger(self._exchange)
        self.agent = agent
        self.agents = {one.config.name: one for one in agents}
        self.journal = self._new_journal()
        self.replays = 0
        self._living: dict[UUID, Execution] = {}
        self._functions: dict[str, WorkflowFunction] = {}
        self._unheard: list[Happening] = []
        self._crash_after = 0
        self._crash_when: Callable[[], bool] | None = None

    def run(
        self,
        workflow: WorkflowFunction | str,
        input: JSON = None,
        *,
        crash_after: int = 0,
        crash_when: Callable[[], bool] | None = None,
    ) -> TestRun:
        """Run a workflow until it ends or waits for something other than time."""
        return self.resume(self.queue(workflow, input), crash_after=crash_after, crash_when=crash_when)

    def queue(
        self,
        workflow: WorkflowFunction | str,
        input: JSON = None,
        *,
        budget: Mapping[str, float] | None = None,
    ) -> UUID:
        """Queue a run without running it; `budget` are caps of its tree."""
        name = workflow if isinstance(workflow, str) else workflow.__qualname__
        if not isinstance(workflow, str):
            self._functions[name] = workflow
        now, seconds = self.clock.now(), Caps.of(budget).seconds
        deadline = None if seconds is None else now + timedelta(seconds=seconds)
        child = ChildRecord(uuid7(), Target(name), "", encode(input), 0, now, budget=budget, deadline_at=deadline)
        self.store.add_run(child)
        return child.id

    def resume(self, run_id: UUID, *, crash_after: int = 0, crash_when: Callable[[], bool] | None = None) -> TestRun:
        """Let everything that is queued or due run on."""
        self._crash_after, self._crash_when = crash_after, crash_when
        asyncio.run(self._run_all())
        return self.result(run_id)

    def result(self, run_id: UUID) -> TestRun:
        """Give a run as it stands."""
        return TestRun(self.store.runs[run_id], self.store.larges)

    def below(self, run_id: UUID) -> dict[str, TestRun]:
        """Give the sub-runs of a run by the key of the step that started them."""
        runs = [run for run in self.store.runs.values() if run.parent_id == run_id]
        return {run.child.parent_key: TestRun(run, self.store.larges) for run in runs}

    def tell(self, run_id: UUID, name: str, data: JSON, token: str = "") -> None:
        """Send a run a message, as others would."""
        run = self.store.runs[run_id]
        message = MessageRecord(run_id, name, token or uuid7().hex, encode(data))
        self.store.insert_messages([message], self.clock.now())
        run.waits = wake(run.row, run.waits, [name]) if run.row.status == "waiting" else run.waits
        run.row.wakes += run.row.status == "running"

    def decide(self, run_id: UUID, key: str, verdict: Verdict, *, comment: str = "", **value: JSON) -> None:
        """Decide the open question of a step, as a person would; `value=` is an answer or edited arguments."""
        approval = self.store.runs[run_id].approvals.pop(key)
        data = {**value, "verdict": verdict, "comment": comment, "by": "tester"}
        self.tell(run_id, answer_name(key), data, token=answer_token(approval.id))

    def send_event(self, name: str, data: JSON = None, *, tainted: bool = False) -> None:
        """Let an event come, for the runs that wait for it now or will do so later."""
        event = Happening(len(self._unheard) + 1, name, recorded(data), "test", self.clock.now(), tainted)
        self._unheard.append(event)
        self._offer(event, self.store.runs.keys())

    @property
    def emitted(self) -> list[tuple[str, JSON]]:
        """The events that runs have told of."""
        return [(event.name, decode(event.data)) for event in self.store.emitted]

    @property
    def clock(self) -> ManualClock:
        """The clock that this test moves."""
        return self._clock

    # -- what executions need ------------------------------------------------------------------------------------

    async def load_messages(self, run_id: UUID) -> History:
        return self.store.messages(run_id)

    async def load_large(self, id: UUID) -> bytes:
        return self.store.large(id)

    async def resolve_target(self, workspace_id: int, name: str) -> Target:
        if name in self.agents:
            return Target(self.agents[name].workflow, list(self.agents).index(name) + 1)
        if name in self._functions or name in known_workflows():
            return Target(name)
        raise Permanent(f"There is no workflow named {name!r}.", "UnknownTarget")

    async def sub_agents(self, workspace_id: int, names: Sequence[str]) -> list[SubAgent]:
        found = [self.agents[name] for name in names if name in self.agents]
        return [SubAgent(one.config.name, one.description, one.workflow, one.config.input_schema) for one in found]

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    def cancel_child(self, run_id: str) -> None:
        row = self.store.runs[UUID(run_id)].row
        if row.status not in ENDED:
            row.wanted = "cancel"

    async def look_back(self, wanted: Listening) -> bool:
        return any(self._offer(event, {wanted.run_id}) for event in self._unheard)

    def _offer(self, event: Happening, runs: Collection[UUID]) -> bool:
        """Hand an event to the first wait of each of these runs that it fits; tells whether there was one."""
        fitting = [
            one
            for one in self.store.listening.values()
            if one.run_id in runs and fits(event.name, one.pattern) and matches(one.match or {}, event.data)
        ]
        told = {one.run_id: one for one in reversed(fitting) if told_token(event.id) not in self._tokens(one.run_id)}
        for one in told.values():
            del self.store.listening[one.run_id, one.key]
            self.tell(one.run_id, told_name(one.key), asdict(event), token=told_token(event.id))
        return bool(told)

    def _tokens(self, run_id: UUID) -> set[str]:
        return self.store.runs[run_id].tokens

    async def is_called(self, token: UUID) -> bool:
        return token in self.store.calls

    def lease_left(self) -> float:
        return self.lease_seconds

    async def breathe(self) -> None:
        """A test has the loop for itself."""

    async def _exchange(self, tree: UUID, decide: Decide) -> None:
        decide(self.store.taken(tree), NOTHING)

    def _new_journal(self) -> Journal:
        return Journal(self.store, 1, _Inline(), self.clock, on_lost=self._on_lost)

    # -- the loop ------------------------------------------------------------------------------------------------

    async def _run_all(self) -> None:
        self.journal = self._new_journal()
        writer = asyncio.create_task(self.journal.write_forever())
        try:
            while True:
                claimed = await self.journal.claim(ClaimRequest(1000))
                if not claimed and not self._advance_clock():
                    return
                histories = self.store.histories([run.id for run in claimed])
                executions = [Execution(run, self, self._agent_of(run), histories[run.id]) for run in claimed]
                self._living = {execution.id: execution for execution in executions}
                self.replays += sum(not run.is_fresh for run in claimed)
                await asyncio.gather(*(self._drive(execution) for execution in executions))
        finally:
            writer.cancel()

    def _agent_of(self, run: Claimed) -> AgentConfig | None:
        if run.agent_version_id is None:
            return self.agent
        return list(self.agents.values())[run.agent_version_id - 1].config

    async def _drive(self, execution: Execution) -> None:
        name = execution.claimed.workflow
        try:
            function = self._functions.get(name) or find_workflow(name).function
        except UnknownWorkflow:
            await execution.park_unstarted(WaitRecord("worker", name=name))
            return
        driving = asyncio.create_task(execution.run(lambda x: _begin(function, x)))
        if is_time := self._time_to_crash():
            while not driving.done() and not is_time():
                await asyncio.sleep(0)
            if not driving.done():
                self._crash(execution)
        await driving

    def _time_to_crash(self) -> Callable[[], bool] | None:
        """Give the condition of the one crash that was asked for, if it has not been given yet."""
        when, after = self._crash_when, self._crash_after
        self._crash_when, self._crash_after = None, 0
        target = self.journal.batches_written + after
        return when or ((lambda: self.journal.batches_written >= target) if after else None)

    def _crash(self, execution: Execution) -> None:
        """What a killed worker leaves behind: the tables, and a lease that somebody takes away."""
        self.journal.discard(execution.lease)
        execution.lose()
        row = self.store.runs[execution.id].row
        if row.status == "running":
            row.status, row.worker_id, row.epoch = "queued", None, row.epoch + 1

    def _on_lost(self, lease: Lease) -> None:
        if execution := self._living.get(lease[0]):
            execution.lose()

    def _advance_clock(self) -> bool:
        """Move to the next timer and queue what is due; False if nothing waits for time."""
        parked = [run for run in self.store.runs.values() if run.row.status == "waiting"]
        due = [w.due_at for run in parked for w in run.waits if w.due_at and not _is_paused(run)]
        if not due:
            return any(run.row.status == "queued" for run in self.store.runs.values())
        self.clock.advance(max(0.0, (min(due) - self.clock.now()).total_seconds()))
        for run in parked:
            if not _is_paused(run) and any(w.due_at and w.due_at <= self.clock.now() for w in run.waits):
                run.row.status, run.row.reason = "queued", "timer"
                run.waits.clear()
        return True


def _begin(function: WorkflowFunction, x: Execution) -> Any:
    return function(Context(x), x.input)


def _is_paused(run: MemoryRun) -> bool:
    return any(wait.kind == "paused" for wait in run.waits)


class _Inline(FutureExecutor):
    """Runs what it is given at once, in the same thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 (an executor hands every failure on)
            future.set_exception(error)
        return future
