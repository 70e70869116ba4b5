"""Limits: a call begins when all that it counts for let it, and what asks for a pause gets it from everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.chain.calls import Call, Handler
from tools.errors import ToolRetry

if TYPE_CHECKING:
    from tools.registry import Tool


def limit(tool: Tool, inner: Handler) -> Handler:
    """Wait for the limits of the tool itself and for those that it declares."""
    own = f"tool:{tool.name}"

    async def limited(call: Call) -> Any:
        declared = tool.limits.of(tool.named(call.values)) if tool.limits else []
        admitted = await call.context.admit([own, *declared], pauses=declared)
        try:
            return await inner(call)
        except ToolRetry as error:
            if error.retry_after:
                await admitted.pause(error.retry_after, str(error))
            raise
        finally:
            admitted.release()

    return limited
