"""One call on its way through the chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tools.types import JSON, ToolContext

if TYPE_CHECKING:
    from tools.registry import Tool


@dataclass(slots=True)
class Call:
    """One call of a tool. `arguments` are as they came, `values` as validated, in the types of the function."""

    tool: Tool
    arguments: JSON
    context: ToolContext
    values: dict[str, Any] = field(default_factory=dict)


Handler = Callable[[Call], Awaitable[Any]]
"""Carries a call out. From the outside down to `shape` it gives a ToolOutput, further in what the function returned."""

Wrapper = Callable[["Tool", Handler], Handler]
"""Puts something around a handler, once for each tool."""
