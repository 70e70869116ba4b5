"""A bound on the time of what serves several calls, and so is no single step's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tools.chain.calls import Call, Handler
from tools.errors import ToolTimeout

if TYPE_CHECKING:
    from tools.registry import Tool


def timeout(tool: Tool, inner: Handler) -> Handler:
    """Break a call off after the tool's time; raises ToolTimeout."""

    async def timed(call: Call) -> Any:
        try:
            async with asyncio.timeout(tool.timeout) as limit:
                return await inner(call)
        except TimeoutError as error:
            if limit.expired():
                raise ToolTimeout(f"not done within {tool.timeout:g} s") from error
            raise

    return timed
