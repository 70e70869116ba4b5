"""`ctx`: what a workflow function does durable things with."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar, overload
from uuid import UUID, uuid5

from pydantic import BaseModel

from agents.engine import branching, happenings, subagents, subruns, thinking, windows
from agents.engine.artifacts import keep_file
from agents.engine.asking import (
    LASTS,
    Decision,
    Form,
    answer_of,
    ask_person,
    check_by,
    decision_of,
    question_of,
    schema_of,
)
from agents.engine.calling import call_tool
from agents.engine.canonical import JSON, decode, digest, encode
from agents.engine.conversation import Conversation
from agents.engine.errors import ForeignTask, Sealed, StepFailed
from agents.engine.happening_records import Happening
from agents.engine.messages import Message, Reply, Summary, ToolCall, ToolResult
from agents.engine.outputs import Output
from agents.engine.plans import Attempt, Plan
from agents.engine.ports import AgentConfig, Effect, SubAgent, ToolSpec
from agents.engine.recording import finish_step, record_step
from agents.engine.retry import Retry
from agents.engine.scope import Scope, current_scope
from agents.engine.stepping import perform

if TYPE_CHECKING:
    from agents.engine.execution import Execution

M = TypeVar("M", bound=BaseModel)

STEP_RETRY = Retry()


class Context:
    """The durable operations of one run. Every one of them is a step: recorded once, returned from the record later."""

    def __init__(self, execution: Execution) -> None:
        self._x = execution
        self._conversation = Conversation()

    @property
    def run_id(self) -> UUID:
        """The run's id."""
        return self._x.id

    @property
    def workspace_id(self) -> int:
        """The id of the workspace the run belongs to."""
        return self._x.claimed.workspace_id

    @property
    def agent(self) -> AgentConfig | None:
        """The agent version this run is pinned to; None for a run without an agent."""
        return self._x.agent

    @property
    def input(self) -> JSON:
        """The run's input, as the workflow function was handed it."""
        return self._x.input

    # -- models and tools ----------------------------------------------------------------------------------------

    async def think(
        self,
        chat: Sequence[Message],
        *,
        model: str | None = None,
        tools: Iterable[str | ToolSpec] | None = None,
        label: str | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_output_tokens: int | None = None,
        seed: int | None = None,
        output: type[BaseModel] | Mapping[str, Any] | None = None,
        repairs: int = thinking.REPAIRS,
        retry: Retry | None = None,
        timeout: float = thinking.TIMEOUT,
    ) -> Reply:
        """Ask the model once. `timeout` is seconds per attempt.

        `tools` are those on offer, by default the agent's: names, or specifications of what the workflow itself does.
        With `output`, a pydantic model or a JSON schema, the reply's `output` is the answer in that form; an answer
        that does not fit is handed back with what is wrong at most `repairs` times, then OutputInvalid is raised. (A
        reply that calls tools has no output.) Raises StepFailed when the model and those that the agent falls back on
        can't be had or keep answering nonsense.
        """
        asking = thinking.Asking(
            model=model,
            tools=None if tools is None else tuple(tools),
            label=label,
            sampling=thinking.told(temperature, top_p, max_output_tokens, seed),
            output=None if output is None else Output.of(output),
            repairs=repairs,
            retry=retry,
            timeout=timeout,
        )
        return await thinking.think(self._x, self._enter("think"), self._conversation, tuple(chat), asking)

    async def compact(self, older: Sequence[Message], *, model: str | None = None) -> Summary:
        """Have the model summarise the older part of a conversation; the summary goes on in its place."""
        return await thinking.compact(self._x, self._enter("compact"), tuple(older), model)

    async def model_context(self) -> int | None:
        """Give how many tokens the agent's model takes at most, as a step; None if nobody says."""
        model = thinking.models_of(self._x.agent)[0]
        size: int | None = await self.step("model context", self._x.host.ports.model.context, model, self.workspace_id)
        return size

    async def tool(
        self,
        call: ToolCall | str,
        /,
        *,
        retry: Retry | None = None,
        timeout: float | None = None,
        **arguments: Any,
    ) -> ToolResult:
        """Call a tool, by its name and arguments or as a model asked for it; where it takes one, by a person's leave.

        A model's call that fails or is refused is answered with `ok=False` and a text for the model; a call by name
        raises StepFailed.
        """
        scope, x = self._enter("tool"), self._x
        asked = call if isinstance(call, ToolCall) else ToolCall("", call, arguments)
        try:
            result = await call_tool(x, scope, asked, retry=retry, timeout=timeout)
        except StepFailed as failure:
            if isinstance(call, str):
                raise
            text = f"{failure.type}: {failure.message}"
            return ToolResult(
                "tool", text, call_id=asked.id, name=asked.name, ok=False, step_key=failure.key, error=failure.type
            )
        if isinstance(call, str) and not result.ok:
            raise StepFailed("ToolFailed", result.text, result.step_key)
        return result

    def may_use(self, tool: str) -> bool:
        """Whether this run may call the tool: its agent has it, and so has each run above it."""
        return self._x.may_use(tool)

    async def step(
        self,
        name: str,
        function: Callable[..., Any],
        /,
        *args: Any,
        retry: Retry | None = None,
        timeout: float | None = None,
        effect: Effect = "idempotent",
        **kwargs: Any,
    ) -> JSON:
        """Run any function once and record what it returns; a plain function runs in a thread.

        `effect="unsafe"` says that doing it twice does harm: then it is never repeated without a person's word.
        Raises StepFailed when its attempts are used up.
        """
        scope = self._enter("step")

        async def execute(attempt: Attempt) -> Any:
            if inspect.iscoroutinefunction(function):
                return await function(*args, **kwargs)
            return await self._x.host.in_thread(lambda: function(*args, **kwargs))

        given = [args, kwargs] if kwargs else list(args)
        plan = Plan(
            kind="step",
            name=name,
            title=name,
            digest=digest(given) if given else "",
            input=lambda: given or None,
            effect=effect,
            retry=retry or STEP_RETRY,
            timeout=timeout,
        )
        return (await perform(self._x, scope, plan, execute))[1]

    # -- parallel branches ---------------------------------------------------------------------------------------

    async def gather(self, *awaitables: Awaitable[Any]) -> list[Any]:
        """Run branches in parallel; all settle, then the results, or the failure of the lowest index, come back."""
        return await branching.gather(self._x, self._enter("gather"), awaitables)

    async def map(
        self, function: Callable[[Any], Awaitable[Any]], items: Iterable[Any], *, width: int = 100
    ) -> list[Any]:
        """Run `function` on every item in a branch of its own, at most `width` at once."""
        return await branching.map_items(self._x, self._enter("map"), function, items, width)

    async def race(self, *awaitables: Awaitable[Any]) -> tuple[int, Any]:
        """Run branches until the first one ends; give its index and result, drop the others."""
        return await branching.race(self._x, self._enter("race"), awaitables)

    def pool(self) -> branching.Pool:
        """Give a pool of parallel branches, to which more can be added while others end."""
        return branching.Pool(self._x, self._enter("pool"), "pool")

    def as_completed(self, *awaitables: Awaitable[Any]) -> AsyncIterator[tuple[int, Any]]:
        """Give (index, result) of parallel branches as they end."""
        return branching.as_completed(self._x, self._enter("as_completed"), awaitables)

    async def timeout(self, seconds: float, awaitable: Awaitable[Any]) -> Any:
        """Await a branch for at most so many seconds, also across a crash; raises StepTimeout."""
        return await branching.timeout(self._x, self._enter("timeout"), seconds, awaitable)

    # -- people --------------------------------------------------------------------------------------------------

    async def approve(
        self,
        subject: str,
        arguments: JSON = None,
        *,
        effect: str = "",
        why: str = "",
        form: Form = None,
        lasts: timedelta = LASTS,
    ) -> Decision:
        """Ask a person whether something may be done; park until somebody decides, or until `lasts` is over.

        `effect` says in words what doing it means, `why` why a person is asked. With a `form` the person may edit the
        arguments: what counts is what comes back.
        """
        scope = self._enter("approve")
        question = question_of("approve", subject, form, arguments=arguments, effect=effect, why=why, lasts=lasts)
        return decision_of(await ask_person(self._x, scope, scope.next_key("approve"), question, check_by(form)))

    @overload
    async def ask(self, question: str, form: type[M], *, why: str = "", lasts: timedelta = LASTS) -> M: ...

    @overload
    async def ask(
        self, question: str, form: Mapping[str, Any] | None = None, *, why: str = "", lasts: timedelta = LASTS
    ) -> JSON: ...

    async def ask(self, question: str, form: Form = None, *, why: str = "", lasts: timedelta = LASTS) -> Any:
        """Ask a person for an answer that fits a pydantic model or a JSON schema, by default a text.

        Raises StepFailed ("Rejected", "Expired") if nobody answers.
        """
        scope = self._enter("ask")
        key = scope.next_key("ask")
        asked = question_of("ask", question, form or {"type": "string", "minLength": 1}, why=why, lasts=lasts)
        return answer_of(await ask_person(self._x, scope, key, asked, check_by(form)), key, form)

    # -- events --------------------------------------------------------------------------------------------------

    async def wait_event(
        self, name: str, match: Mapping[str, Any] | None = None, *, timeout: float | None = None, form: Form = None
    ) -> Happening | None:
        """Wait for an event by its name, or by a beginning as in `order.*`; None if none comes within `timeout` s.

        `match` is a condition on its data, as {"path": "order", "equals": 17}. What came since the run was created
        counts too; each event is handed to a run once. Signals to this run are such events. `form` is a pydantic
        model or a JSON schema of what a signal says: its fields stand on the run's page, and while the run waits, a
        signal that does not fit is refused. Other events are not held to it.
        """
        return await happenings.wait_event(self._x, self._enter("wait_event"), name, match, timeout, schema_of(form))

    async def emit_event(self, name: str, data: JSON = None) -> None:
        """Tell of an event, once: it starts and wakes whoever wants it."""
        await happenings.emit_event(self._x, self._enter("emit_event"), name, data)

    # -- sub-runs, time, records ---------------------------------------------------------------------------------

    def call(
        self, target: str, input: JSON = None, *, workflow: str = "", priority: int | None = None
    ) -> subruns.SubRunCall:
        """Run another agent, or a workflow by its name, and await its output; raises StepFailed if it fails.

        With a `workflow` the agent is run by that one instead of its own.
        """
        return subruns.SubRunCall(self._x, self._enter, target, input, workflow, priority)

    async def spawn(
        self, target: str, input: JSON = None, *, workflow: str = "", priority: int | None = None
    ) -> subruns.SubRun:
        """Start another agent or workflow; await `.result()` of what comes back, or let it go."""
        return await subruns.start(self._x, self._enter("spawn"), target, input, workflow, priority)

    def each(
        self, target: str, inputs: Sequence[JSON], *, numbers: Sequence[int] = (), width: int = windows.WIDTH
    ) -> AsyncIterator[windows.Window]:
        """Run another agent or workflow on each of up to a million inputs, in windows of `width` at once.

        Gives each window when all of it has ended. What was returned stays with the sub-runs: this run's memory does
        not grow with their number. `numbers` are those of the inputs, by default from 0 on.
        """
        given = numbers or range(len(inputs))
        return windows.each(self._x, self._enter("each"), target, inputs, given, width)

    async def sub_agents(self) -> tuple[SubAgent, ...]:
        """Give the agents that this run's agent may delegate to, as they were when this was first asked."""
        return await subagents.describe(self._x, self._enter("sub_agents"))

    async def sleep(self, seconds: float = 0.0, *, until: datetime | None = None) -> None:
        """Pause, for seconds or until a time. A long pause holds no worker."""
        scope = self._enter("sleep")
        key = scope.next_key("sleep")
        record = self._x.steps.get(key)
        if record is None:
            await self._x.gate()
            due = until or self._x.host.clock.now() + timedelta(seconds=seconds)
            record = record_step(self._x, key, Plan("sleep", "sleep", "sleep", "", lambda: {"until": due}))
        elif not record.is_done:
            due = datetime.fromisoformat(decode(record.input)["until"])
        if not record.is_done:
            await self._x.wait_until(key, due)
            record = finish_step(self._x, record, "null")
            await self._x.commit()
        scope.saw(record.finished_at)

    async def emit(self, name: str, data: JSON = None) -> None:
        """Log progress of the workflow's own, once, however often the run is replayed."""
        scope = self._enter("emit")
        key = scope.next_key(f"emit:{name}")
        if key not in self._x.steps:
            await self._x.gate()
            now = self._x.stamp()
            record_step(self._x, key, Plan("emit", name, name, ""), status="succeeded", finished_at=now, outcome="null")
            self._x.log("progress", {"name": name, "data": data})

    async def artifact(self, name: str, content: bytes | str | JSON, *, media_type: str = "") -> JSON:
        """Keep a file of this run; gives its id, name and size in bytes."""
        scope = self._enter("artifact")
        x = self._x
        if isinstance(content, bytes):
            raw, guessed = content, "application/octet-stream"
        elif isinstance(content, str):
            raw, guessed = content.encode("utf-8", "replace"), "text/plain"
        else:
            raw, guessed = encode(content).encode(), "application/json"

        async def write(attempt: Attempt) -> JSON:
            return await keep_file(x, attempt, name, raw, media_type or guessed)

        hashed = blake2b(raw, digest_size=16).hexdigest()
        plan = Plan("artifact", f"artifact:{name}"[:200], name, digest([name, hashed]), effect="idempotent")
        return (await perform(x, scope, plan, write))[1]

    def now(self) -> datetime:
        """Give the time of the last recorded outcome that this branch has seen: the same in every replay."""
        return self._enter("now").now

    def random(self) -> float:
        """Give a number from [0, 1): by chance, and the same in every replay."""
        key = self._enter("random").next_key("random")
        hashed = blake2b(f"{self._x.seed}:{key}".encode(), digest_size=8).digest()
        return int.from_bytes(hashed) / 2**64

    def uuid(self) -> UUID:
        """Give a new id, the same in every replay."""
        return uuid5(self._x.seed, self._enter("uuid").next_key("uuid"))

    def idempotency_key(self, name: str) -> str:
        """Give a key for an outside call that stays the same in every attempt and replay."""
        return f"{self._x.id}:{self._enter('idempotency_key').path}{name}"

    def _enter(self, what: str) -> Scope:
        if self._x.sealed:
            raise Sealed
        scope = current_scope.get()
        task = scope.task if scope is not None else None
        # Asked by its loop: to find the running one is a system call each time.
        if scope is None or task is None or task is not asyncio.current_task(task.get_loop()):
            raise ForeignTask(what)
        return scope
