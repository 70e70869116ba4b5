"""The moment from which a call counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.chain.calls import Call, Handler

if TYPE_CHECKING:
    from tools.registry import Tool


def begin(tool: Tool, inner: Handler) -> Handler:
    """Let the step begin: its time runs from here, and what has an effect has been declared when this is past."""

    async def begun(call: Call) -> Any:
        await call.context.begin()
        return await inner(call)

    return begun
