"""What the code asks for, a step's identity and how it is to be executed, and what is under way of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from agents.engine.canonical import JSON
from agents.engine.messages import Usage
from agents.engine.ports import Effect
from agents.engine.records import ArtifactRecord, StepRecord
from agents.engine.retry import Retry

NEXT = "next"
"""In the entry of a failed attempt: how the next one goes about it, where that is otherwise."""


@dataclass(slots=True)
class Plan:
    """What the code asks for: a step's identity, and how it is to be executed.

    `name` is counted in the scope, `title` is shown; `input` is JSON for the record; `timeout` in seconds.
    `begins_itself` says that the executor may wait, even parked, before it acts, and calls Attempt.begin when it does.
    `is_elsewhere` says that another process executes its attempts, and that a run which comes back waits on for it.
    `taints` says that strangers may have written what comes out of it. `instead` is asked after each failure, with the
    pause before another attempt of the same kind, None if there is none: what it gives is noted with the failed
    attempt, its `next` among it, and the next one, which goes about it in that way, begins at once.
    """

    kind: str
    name: str
    title: str
    digest: str
    input: Callable[[], JSON] = field(default=lambda: None)
    label: str = ""
    effect: Effect = "none"
    retry: Retry = field(default_factory=Retry)
    timeout: float | None = None
    begins_itself: bool = False
    taints: bool = False
    is_elsewhere: bool = False
    instead: Callable[[StepRecord, Exception, float | None], dict[str, JSON] | None] | None = None


async def _has_begun() -> None:
    """Begin what had begun before it was handed to its executor."""


@dataclass(slots=True)
class Attempt:
    """One attempt, as the function that executes it sees it. It may leave its usage and artifacts here.

    `begin` records the start and, of an unsafe step, commits it; the step's time runs from there. What an executor did
    before does not count: if its run leaves the worker, it is called anew, in the same attempt. `is_new` is False for
    one that another process is at already.
    """

    key: str
    number: int
    run_id: UUID
    deadline: float | None
    stream: Callable[[str], None]
    usage: Usage | None = None
    artifact: ArtifactRecord | None = None
    begin: Callable[[], Awaitable[None]] = _has_begun
    is_new: bool = True

    @property
    def idempotency_key(self) -> str:
        """A key for outside calls, the same in every attempt."""
        return f"{self.run_id}:{self.key}"


Executor = Callable[[Attempt], Awaitable[Any]]


@dataclass(slots=True)
class OpenStep:
    """A step that is being executed, its latest record, and the text it has streamed.

    `is_over` says that this attempt has ended, though its end may not be committed yet; `has_begun` is False while the
    executor of a step that begins itself still waits; one that `is_elsewhere` goes on when its run leaves the worker.
    """

    record: StepRecord
    streamed: list[str]
    deadline: float | None = None
    is_over: bool = False
    has_begun: bool = True
    is_elsewhere: bool = False

    @property
    def is_unsafe(self) -> bool:
        return self.record.effect == "unsafe"
