"""Tools by name: `@tool` makes one of a plain function, the registry finds it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from tools.chain import Call, Handler, compose
from tools.declarations import (
    NO_LIMITS,
    Approval,
    Batch,
    Declaration,
    Isolation,
    LimitKeys,
    Limits,
    RetryPolicy,
    check_choice,
    read_limits,
)
from tools.docstrings import Described, describe
from tools.errors import BadTool, DuplicateTool, UnknownTool
from tools.schema import Parameters, read_batch_parameters, read_parameters
from tools.types import JSON, Durable, Effect, Kind, ToolContext, ToolOutput, Trust

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that agents may call, with what was declared about it, and the chain that carries its calls out."""

    name: str
    description: str
    function: Callable[..., Any]
    parameters: Parameters
    effect: Effect
    trust: Trust
    kind: Kind
    timeout: float
    retry: RetryPolicy | None
    durable: Durable
    limits: Limits = NO_LIMITS
    cache: float = 0.0
    batch: Batch | None = None
    isolation: Isolation = "thread"
    memory: int = 0
    approval: Approval = "when_tainted"
    per_run: bool = False
    handler: Handler = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "handler", compose(self))

    @property
    def is_shared(self) -> bool:
        """Whether equal calls may be answered by one: the same is done by once as by often, and no pause is meant."""
        return self.effect == "none" and not self.durable

    @property
    def summary(self) -> str:
        """Give the first line of the description."""
        return self.description.partition("\n")[0]

    @property
    def schema(self) -> dict[str, Any]:
        """Give the JSON schema of the arguments."""
        return self.parameters.schema

    def named(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give the validated arguments of one call by name, also where the function takes many calls at once."""
        return dict(values["calls"]) if self.batch else values

    def validate(self, arguments: JSON) -> dict[str, Any]:
        """Give the arguments in the function's types; raises InvalidArguments with a text for the model."""
        return self.parameters.validate(self.name, arguments)

    async def run(self, arguments: JSON, context: ToolContext) -> ToolOutput:
        """Carry one call out, through the tool's chain."""
        output: ToolOutput = await self.handler(Call(self, arguments, context))
        return output


class Registry:
    """The tools of this process."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __iter__(self) -> Iterator[Tool]:
        return iter(sorted(self._tools.values(), key=lambda tool: tool.name))

    def add(self, tool: Tool) -> None:
        """Add a tool; raises DuplicateTool when another function has the name."""
        known = self._tools.get(tool.name)
        # The same function again is its module loaded a second time, by a reload for instance.
        if known is not None and _origin(known.function) != _origin(tool.function):
            raise DuplicateTool(
                f"Two tools are called {tool.name!r}: {_origin(known.function)} and {_origin(tool.function)}."
            )
        self._tools[tool.name] = tool

    def get(self, name: str) -> Tool:
        """Give the tool of this name; raises UnknownTool, whose text names those that exist."""
        try:
            return self._tools[name]
        except KeyError:
            known = ", ".join(sorted(self._tools)) or "none"
            raise UnknownTool(f"There is no tool named {name!r}. Tools: {known}.") from None


registry = Registry()
"""Where `@tool` puts tools unless told otherwise."""


@overload
def tool(function: F, /) -> F: ...


@overload
def tool(
    *,
    name: str = "",
    effect: Effect = "unsafe",
    trust: Trust = "untrusted",
    kind: Kind = "act",
    timeout: float = 60.0,
    retry: RetryPolicy | None = None,
    durable: Durable = "",
    limits: Sequence[str] | LimitKeys = (),
    cache: float = 0.0,
    batch: Batch | None = None,
    isolation: Isolation | None = None,
    memory: int = 0,
    approval: Approval = "when_tainted",
    per_run: bool = False,
    into: Registry = registry,
) -> Callable[[F], F]: ...


def tool(function: F | None = None, /, **options: Any) -> F | Callable[[F], F]:
    """Make a tool of a function; the function itself stays as it is.

    The name is the function's, the description its docstring, the schema its annotations. What is not declared is
    taken to be dangerous: repeating it does harm (`effect="unsafe"`), strangers may have written what it returns
    (`trust="untrusted"`). `timeout` is in seconds, `retry` says how often a failed attempt is repeated.

    `limits` names the limits its calls count for besides `tool:<name>`, with arguments in braces: `["host:{host}"]`.
    `cache` is for how many seconds a result serves equal calls of the same workspace (and run, if `per_run`). With
    `batch` the function takes a list of calls. `isolation` is where it runs, by default where its kind of function
    belongs; with "process" it runs outside of the worker, on any machine of the queue `tools`, is killed when its time
    is over, may take `memory` MB (by default what the settings say) and holds nobody up. `approval` says when a person
    has to allow a call.
    """
    if function is not None:
        return _register(function)

    def decorate(function: F) -> F:
        return _register(function, **options)

    return decorate


def _register(function: F, *, into: Registry = registry, **options: Any) -> F:
    into.add(make_tool(function, **options))
    return function


def make_tool(function: Callable[..., Any], **options: Any) -> Tool:
    """Make a tool without registering it, by the options of `tool`.

    Raises BadTool with the reason why a function can't be one.
    """
    origin, declared = _origin(function), Declaration(**options)
    name = declared.name or getattr(function, "__name__", "")
    if not _NAME.fullmatch(name):
        raise BadTool(f"{origin} can't be called {name!r}: a tool's name has letters, digits and _, at most 64.")
    declared.check(origin)
    described = describe(function)
    if not described.text:
        raise BadTool(f"{origin} has no docstring; it is how models know what the tool is for.")
    parameters = _parameters(function, described, declared.batch)
    return Tool(
        name=name,
        description=described.text,
        function=function,
        parameters=parameters,
        effect=declared.effect,
        trust=declared.trust,
        kind=declared.kind,
        timeout=declared.timeout,
        retry=declared.retry,
        durable=declared.durable,
        limits=read_limits(origin, declared.limits, set(parameters.schema.get("properties", {}))),
        cache=declared.cache,
        batch=declared.batch,
        isolation=_isolation(origin, function, declared.isolation),
        memory=declared.memory,
        approval=declared.approval,
        per_run=declared.per_run,
    )


def _parameters(function: Callable[..., Any], described: Described, batch: Batch | None) -> Parameters:
    return read_batch_parameters(function, described) if batch else read_parameters(function, described)


def _isolation(origin: str, function: Callable[..., Any], declared: Isolation | None) -> Isolation:
    natural: Isolation = "async" if inspect.iscoroutinefunction(function) else "thread"
    if declared is None:
        return natural
    check_choice(origin, "isolation", declared, Isolation)
    if declared not in (natural, "process"):
        raise BadTool(f"{origin} declares isolation={declared!r}; what runs this function is {natural!r}.")
    return declared


def _origin(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', repr(function))}"
