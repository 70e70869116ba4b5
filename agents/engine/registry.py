"""The workflows this process knows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from agents.engine.errors import UnknownWorkflow

if TYPE_CHECKING:
    from agents.engine.context import Context

WorkflowFunction = Callable[["Context", Any], Coroutine[Any, Any, Any]]
Function = TypeVar("Function", bound=WorkflowFunction)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A durable function under the name that runs refer to."""

    name: str
    function: WorkflowFunction
    description: str
    on_cancel: str = ""
    """Name of the workflow that makes good for a cancelled run; "" if there is none."""


_workflows: dict[str, Workflow] = {}


def workflow(name: str, *, on_cancel: WorkflowFunction | None = None) -> Callable[[Function], Function]:
    """Register an async function `(ctx, input)` as the workflow `name`.

    The name is recorded with every run: renaming a workflow leaves its unfinished runs waiting for the old name.
    A cancelled run's coroutine is dropped, not unwound: what must be made good again belongs into `on_cancel`, a
    workflow function of its own. It is run as a sub-run, with `{"run": id, "input": …}` of the cancelled run.
    Raises ValueError for a name that is taken by another function, TypeError for a function that is not async.
    """

    def register(function: Function) -> Function:
        is_async: bool = inspect.iscoroutinefunction(function)
        if not is_async:
            raise TypeError(f"The workflow {name!r} must be an async function (async def).")
        known = _workflows.get(name)
        if known is not None and known.function.__qualname__ != function.__qualname__:
            raise ValueError(f"Two workflows are named {name!r}: rename one of them.")
        handler = ""
        if on_cancel is not None:
            handler = f"{name}.on_cancel"
            workflow(handler)(on_cancel)
        _workflows[name] = Workflow(name, function, inspect.getdoc(function) or "", handler)
        return function

    return register


def find_workflow(name: str) -> Workflow:
    """Give the workflow of this name; raises UnknownWorkflow."""
    try:
        return _workflows[name]
    except KeyError:
        raise UnknownWorkflow(name) from None


def cancel_handler(name: str) -> str:
    """Give the name of the workflow that makes good for a cancelled run of `name`, or ""."""
    known = _workflows.get(name)
    return known.on_cancel if known else ""


def known_workflows() -> list[str]:
    """Give the names of all registered workflows, sorted."""
    return sorted(_workflows)
