"""What the engine needs from the outside, as protocols. `agents/apps.py` binds them; tests bind their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from agents.engine.beside import SideLoop
from agents.engine.canonical import JSON
from agents.engine.errors import Permanent
from agents.engine.happening_records import Listening
from agents.engine.messages import Message, Reply, ToolResult, Usage
from agents.engine.retry import Retry

DELEGATE_TO = "delegate_to_"
"""How the name of a tool begins that hands a task to a sub-agent."""
REVIEW_DRAFT = "review_draft"
"""Under this name a model is shown what was said of its draft, as the result of a call."""
NO_RUN = UUID(int=0)
"""For a request that belongs to no run."""
Effect = Literal["none", "idempotent", "unsafe"]
"""What doing a thing twice means: nothing, the same as once, or harm."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the engine and the model see it. `parameters` is a JSON schema, `timeout` in seconds.

    `durable` marks a tool whose work the workflow carries out: "sleep" by ctx.sleep, "ask" by ctx.ask, "crawl" by a
    step for each page. `isolation` is where it runs; in a process of its own it may take `memory` MB.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    effect: Effect = "none"
    kind: Literal["search", "act"] = "act"
    trust: Literal["trusted", "untrusted"] = "trusted"
    timeout: float = 60.0
    retry: Retry | None = None
    durable: Literal["", "sleep", "ask", "crawl"] = ""
    isolation: Literal["async", "thread", "process"] = "async"
    memory: int = 0


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """The agent version a run is pinned to. `tools` are names, `options` are the workflow's.

    `fallbacks` are names of models, `sub_agents` names of agents of the same workspace, `id` is the agent's. The
    schemas are JSON schemas, None where anything goes. What is absent from `sampling`, `caps` and `retry` is
    not the agent's wish: the surroundings decide.
    """

    name: str
    version: int
    instructions: str = ""
    model: str = ""
    tools: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    fallbacks: tuple[str, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    sub_agents: tuple[str, ...] = ()
    input_schema: Mapping[str, Any] | None = None
    output_schema: Mapping[str, Any] | None = None
    caps: Mapping[str, Any] = field(default_factory=dict)
    retry: Mapping[str, Any] = field(default_factory=dict)
    approvals: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0


@dataclass(frozen=True, slots=True)
class SubAgent:
    """An agent that another one may delegate to. Without an `input_schema` it takes a goal in words."""

    name: str
    description: str = ""
    workflow: str = ""
    input_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request to a model; `info` says which step it belongs to, if any.

    `others` are the models that may be asked instead, in order, should this one fail for good. With `output`, a JSON
    schema, the answer is to be JSON that fits it. `purpose` "compact" asks for a summary of the messages, to go on with
    in their place.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    others: tuple[str, ...] = ()
    output: Mapping[str, Any] | None = None
    purpose: Literal["answer", "compact"] = "answer"
    workspace_id: int = 0
    run_id: UUID = NO_RUN
    step_key: str = ""
    info: CallInfo | None = None


async def _begin_at_once() -> float | None:
    return None


async def _never_wait(due: datetime, what: str) -> None:
    raise RuntimeError("Only a call that a run makes can wait: it parks the run.")


Keep = Callable[[str, bytes, str], Awaitable[JSON]]
"""Keeps a file of the run with the step: name, content, media type. One for each step."""


Progress = Callable[[str, float | None], None]
"""Tells how far a call has come: in words, and as a share of the whole if that is known. From any thread."""


def tell_nobody(text: str, done: float | None) -> None:
    """Stand for a call whose progress nobody follows."""


async def keep_nothing(name: str, content: bytes, media_type: str) -> JSON:
    """Stand for a step with which no file is kept."""
    raise Permanent("No file can be kept here.", "NoArtifact")


@dataclass(frozen=True, slots=True)
class CallInfo:
    """Where a call comes from, and how it begins. `idempotency_key` is the same in every attempt of the step.

    Whoever carries the call out awaits `begin` when it is about to act: the step's time runs from there, and its
    deadline in the event loop's seconds comes back. Before, it may await `wait_until(due, what)`, where the run parks
    if that takes long; the call is then made anew, with `is_resumed`. `worker_id` is that of the worker's row;
    `is_approved` says that a person has allowed this call.
    """

    workspace_id: int
    run_id: UUID
    step_key: str
    attempt: int
    idempotency_key: str
    now: Callable[[], datetime]
    worker_id: int = 0
    is_resumed: bool = False
    is_approved: bool = False
    begin: Callable[[], Awaitable[float | None]] = _begin_at_once
    wait_until: Callable[[datetime, str], Awaitable[None]] = _never_wait
    keep: Keep = keep_nothing
    progress: Progress = tell_nobody


@dataclass(frozen=True, slots=True)
class Need:
    """Why a call needs a person's word, and what that person is told; in words. `lasts` is in seconds.

    `form` is the JSON schema of the arguments, `described` a digest of what the person is told about the tool: an
    approval is for the tool as it was described.
    """

    effect: str = ""
    why: str = ""
    form: Mapping[str, Any] | None = None
    described: str = ""
    lasts: float = 3 * 86_400.0


class ModelPort(Protocol):
    """Access to models."""

    async def respond(self, request: ModelRequest, stream: Callable[[str], None]) -> Reply:
        """Ask the model once, after `request.info.begin`. Text is handed to `stream` as it comes.

        Raises Retryable for what may pass, Permanent for what will not.
        """
        ...

    async def at_most(self, request: ModelRequest) -> Usage:
        """Give the most that the request will take, as far as can be told: where caps hold, so much is reserved.

        A cost of None says that nobody knows the price. Raises as `respond` does for a request that can't be made.
        """
        ...

    async def context(self, model: str, workspace_id: int) -> int | None:
        """Give how many tokens a model takes at most, None if nobody says."""
        ...

    async def aclose(self) -> None:
        """Close what is open; the worker stops."""
        ...


class ToolPort(Protocol):
    """Access to tools."""

    def spec(self, name: str) -> ToolSpec:
        """Give a tool's specification; raises KeyError for an unknown name."""
        ...

    def specs(self, names: Iterable[str]) -> list[ToolSpec]:
        """Give the specifications of the named tools, unknown ones left out."""
        ...

    async def needs_approval(
        self, name: str, arguments: JSON, *, workspace_id: int, is_tainted: bool, because: str = ""
    ) -> Need | None:
        """Tell whether a person has to allow this call first; never for arguments that the tool will refuse.

        `because` is what the tool itself said when it was called without leave: then a person has to.
        """
        ...

    async def call(self, name: str, arguments: JSON, info: CallInfo) -> ToolResult:
        """Call a tool once, beginning by `info.begin`. A failure that the model may read is a ToolResult with ok=False.

        Raises Retryable for what may pass, Permanent for what will not, NoEffect if surely nothing was done.
        """
        ...


class PartialSink(Protocol):
    """Where streamed text goes while a step runs; it may be slow or away, the step does not wait for it."""

    def append(self, run_id: UUID, key: str, attempt: int, text: str) -> None:
        """Append streamed text to a step's partial."""
        ...


class ArtifactStore(Protocol):
    """Where the content of artifacts is kept."""

    def write(self, workspace_id: int, content: bytes) -> str:
        """Store the content and give its address; the same content gives the same address."""
        ...


class EventPort(Protocol):
    """Where events are kept until the runs that wait for them are told. Called in a thread."""

    def look_back(self, wanted: Sequence[Listening]) -> Sequence[bool]:
        """Hand each wait, which stands in the tables, the first event that came before and fits; tell where one did.

        One that has looked back, was told already or is gone stays as it is.
        """
        ...


class NoEvents:
    """Stands where nobody keeps events: none ever comes."""

    def look_back(self, wanted: Sequence[Listening]) -> Sequence[bool]:
        return [False] * len(wanted)


CallMessage = Callable[[UUID, float], str]
"""Makes the task that executes the call of a token within so many seconds, as the queue of such tasks carries it."""


@dataclass(slots=True)
class Ports:
    """All ports of one worker process. Without `processes`, every tool is called in the worker itself.

    `beside` are loops of the product that each worker keeps going, by their names.
    """

    model: ModelPort
    tools: ToolPort
    partials: PartialSink
    artifacts: ArtifactStore
    processes: CallMessage | None = None
    events: EventPort = field(default_factory=NoEvents)
    beside: Mapping[str, SideLoop] = field(default_factory=dict)
