"""What `@tool` may declare beside the function itself, and the reasons why a declaration is refused."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tools.errors import BadTool
from tools.types import JSON, Durable, Effect, Kind, Trust

Isolation = Literal["async", "thread", "process"]
"""Where a tool runs: on the event loop, in a thread of the worker, or in a process of its own."""

WhenToApprove = Literal["never", "always", "when_tainted"]
"""When a call waits for a person: never, always, or once the run has read what strangers may have written."""

Approval = WhenToApprove | Callable[[Mapping[str, JSON]], bool]
"""Or a function of the arguments, by name, that tells whether this call waits."""

LimitKeys = Callable[[Mapping[str, Any]], list[str]]
"""Gives the names of the limits that a call counts for, from its arguments."""

MAX_BATCH = 10_000
LEAST_MEMORY, MOST_MEMORY = 16, 1_048_576
MAX_WINDOW = 10.0
MAX_AGE = 30 * 86_400.0
MAX_KEY = 200


class RetryPolicy(Protocol):
    """Anything that reads like tools.types.Retry; the engine's own Retry does."""

    @property
    def max_attempts(self) -> int: ...
    @property
    def first(self) -> float: ...
    @property
    def factor(self) -> float: ...
    @property
    def max(self) -> float: ...
    @property
    def jitter(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """How calls are gathered: at most `max_size` of them, of which the first waits for at most `window` seconds."""

    max_size: int = 50
    window: float = 0.005

    def __post_init__(self) -> None:
        if not 1 <= self.max_size <= MAX_BATCH:
            raise BadTool(f"A batch has 1 to {MAX_BATCH:,} calls, not {self.max_size!r}.")
        if not 0 <= self.window <= MAX_WINDOW:
            raise BadTool(f"A batch is gathered for 0 to {MAX_WINDOW:g} seconds, not {self.window!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """All that `@tool` may declare, see there. What is not declared is taken to be dangerous."""

    name: str = ""
    effect: Effect = "unsafe"
    trust: Trust = "untrusted"
    kind: Kind = "act"
    timeout: float = 60.0
    retry: RetryPolicy | None = None
    durable: Durable = ""
    limits: Sequence[str] | LimitKeys = ()
    cache: float = 0.0
    batch: Batch | None = None
    isolation: Isolation | None = None
    memory: int = 0
    approval: Approval = "when_tainted"
    per_run: bool = False

    def check(self, origin: str) -> None:
        """Raise BadTool for what can't be meant, whatever the function; `origin` names that."""
        check_choice(origin, "effect", self.effect, Effect)
        check_choice(origin, "trust", self.trust, Trust)
        check_choice(origin, "kind", self.kind, Kind)
        check_choice(origin, "durable", self.durable, Durable)
        if not (math.isfinite(self.timeout) and self.timeout > 0):
            raise BadTool(f"{origin} declares timeout={self.timeout!r}; it is a number of seconds over 0.")
        check_cache(origin, self.cache, self.effect)
        check_approval(origin, self.approval)
        check_memory(origin, self.memory, self.isolation)
        if self.isolation == "process" and self.batch is not None:
            raise BadTool(f"{origin} declares a batch and isolation='process'; each call has a process of its own.")
        if self.isolation == "process" and self.durable:
            raise BadTool(f"{origin} is durable and isolation='process'; the workflow carries it out.")


@dataclass(frozen=True, slots=True)
class Limits:
    """The names of the limits that a tool's calls count for: templates over the arguments, or a function of them."""

    templates: tuple[str, ...] = ()
    function: LimitKeys | None = None

    def __bool__(self) -> bool:
        return bool(self.templates) or self.function is not None

    def of(self, arguments: Mapping[str, Any]) -> list[str]:
        """Give the names for these arguments, each once; at most 200 characters of each."""
        keys = self.function(arguments) if self.function else [text.format_map(arguments) for text in self.templates]
        return list(dict.fromkeys(key[:MAX_KEY] for key in keys))


NO_LIMITS = Limits()


def read_limits(origin: str, limits: Any, parameters: set[str]) -> Limits:
    """Read the declaration `limits`; raises BadTool if a template asks for what the tool does not take."""
    if callable(limits):
        return Limits(function=limits)
    if isinstance(limits, str) or not all(isinstance(text, str) and text for text in limits):
        raise BadTool(
            f"{origin} declares limits={limits!r}; it is a list of names like 'host:{{host}}', or a function."
        )
    for text in limits:
        for name in _asked_for(origin, text):
            if name not in parameters:
                raise BadTool(f"{origin} declares the limit {text!r}, but has no parameter {name!r}.")
    return Limits(tuple(limits))


def _asked_for(origin: str, template: str) -> list[str]:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise BadTool(f"{origin} declares the limit {template!r}, which can't be read: {error}.") from error
    # Names alone: `{x.y}` and `{x[0]}` would read whatever the argument leads to.
    strange = [name for _, name, form, conversion in parts if name is not None and (form or conversion)]
    names = [name for _, name, _, _ in parts if name is not None]
    if strange or not all(name.isidentifier() for name in names):
        raise BadTool(f"{origin} declares the limit {template!r}; it may name parameters in braces and nothing else.")
    return names


def check_approval(origin: str, approval: Any) -> None:
    """Raise BadTool for what is neither a word nor a function."""
    words = WhenToApprove.__args__  # type: ignore[attr-defined]  # a Literal has its words there
    if not callable(approval) and approval not in words:
        known = ", ".join(map(repr, words))
        raise BadTool(f"{origin} declares approval={approval!r}; it is one of {known}, or a function of the arguments.")


def approval_word(approval: Approval) -> str:
    """Give the word by which a declaration is shown; a function is "by_arguments"."""
    return approval if isinstance(approval, str) else "by_arguments"


def check_cache(origin: str, cache: float, effect: str) -> None:
    """Raise BadTool unless results may be kept for `cache` seconds."""
    if not 0 <= cache <= MAX_AGE:
        raise BadTool(f"{origin} declares cache={cache!r}; it is a number of seconds, at most {MAX_AGE:,.0f}.")
    if cache and effect != "none":
        raise BadTool(f"{origin} declares cache={cache:g} and effect={effect!r}; only what has no effect may be kept.")


def check_memory(origin: str, memory: int, isolation: Isolation | None) -> None:
    """Raise BadTool unless a tool may have `memory` MB: only a process of its own can be bounded. 0 is the default."""
    if memory and isolation != "process":
        raise BadTool(
            f"{origin} declares memory={memory!r}; only a tool with isolation='process' has a bound of its own."
        )
    if memory and not LEAST_MEMORY <= memory <= MOST_MEMORY:
        bounds = f"from {LEAST_MEMORY} to {MOST_MEMORY:,}"
        raise BadTool(f"{origin} declares memory={memory!r}; it is a number of MB {bounds}.")


def check_choice(origin: str, option: str, value: str, choices: Any) -> None:
    """Raise BadTool for what is none of the words."""
    known: tuple[str, ...] = choices.__args__
    if value not in known:
        raise BadTool(f"{origin} declares {option}={value!r}; it is one of {', '.join(map(repr, known))}.")
