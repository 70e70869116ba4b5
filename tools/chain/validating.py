"""Wrong arguments are answered before anything else happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.chain.calls import Call, Handler
from tools.types import ToolOutput

if TYPE_CHECKING:
    from tools.registry import Tool


def validate(tool: Tool, inner: Handler) -> Handler:
    """Bring the arguments into the function's types; raises InvalidArguments with a text for the model."""

    async def validated(call: Call) -> ToolOutput:
        call.values = tool.validate(call.arguments)
        output: ToolOutput = await inner(call)
        return output

    return validated
