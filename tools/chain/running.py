"""The function itself, called where it belongs, and its result brought into form."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tools.chain.calls import Call, Handler
from tools.results import to_output
from tools.threads import run_in_thread
from tools.types import ToolOutput

if TYPE_CHECKING:
    from tools.registry import Tool


async def run(call: Call) -> Any:
    """Call the function: on the event loop if it is async, else in a thread; gives what it returned."""
    tool = call.tool
    given = (call.context,) if tool.parameters.wants_context else ()
    if inspect.iscoroutinefunction(tool.function):
        return await tool.function(*given, **call.values)
    return await run_in_thread(tool.function, *given, **call.values)


def shape(tool: Tool, inner: Handler) -> Handler:
    """Make a ToolOutput of what the function returned; raises BadResult if that can't be."""

    async def shaped(call: Call) -> ToolOutput:
        return to_output(tool.name, await inner(call))

    return shaped
