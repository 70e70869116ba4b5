"""Equal calls at the same time, of a tool without effect, are made once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from tools.chain.calls import Call, Handler
from tools.errors import ToolTimeout
from tools.types import ToolOutput

if TYPE_CHECKING:
    from tools.registry import Tool

_Key = tuple[asyncio.AbstractEventLoop, tuple[int, UUID | None, bool], str]


def share(tool: Tool, inner: Handler) -> Handler:
    """Let equal calls that are in flight in this process wait for the first of them, within one workspace
    or, where the answer depends on the run, one run."""
    return _Sharing(tool, inner) if tool.is_shared else inner


class _Sharing:
    def __init__(self, tool: Tool, inner: Handler) -> None:
        self._tool = tool
        self._inner = inner
        self._flights: dict[_Key, asyncio.Future[ToolOutput | None]] = {}

    async def __call__(self, call: Call) -> ToolOutput:
        key = (asyncio.get_running_loop(), audience(call), canonical(call.arguments))
        while (flight := self._flights.get(key)) is not None:
            # Shielded: who stops waiting must not cancel what the others wait for.
            output = await asyncio.shield(flight)
            if output is not None:
                return replace(output, cached=True)
            # Whoever made the call was stopped: one of those who waited makes it.
        return await self._make(key, call)

    async def _make(self, key: _Key, call: Call) -> ToolOutput:
        """Make the call for all who ask for the same meanwhile; in its own step's hands, as that may have to park."""
        flight = self._flights[key] = key[0].create_future()
        try:
            output: ToolOutput = await self._inner(call)
        except Exception as error:
            del self._flights[key]
            flight.set_exception(error)
            flight.exception()  # Retrieved: there may be nobody else who waits for it.
            raise
        except BaseException:
            del self._flights[key]
            _leave(flight, call)
            raise
        del self._flights[key]
        flight.set_result(output)
        return output


def _leave(flight: asyncio.Future[ToolOutput | None], call: Call) -> None:
    """Tell those who wait why it is not done: its time was over, and so would theirs be, or its run was stopped."""
    if flight.cancelled():
        return
    deadline = call.context.deadline
    if deadline is not None and asyncio.get_running_loop().time() >= deadline:
        flight.set_exception(ToolTimeout(f"not done within {call.tool.timeout:g} s"))
        flight.exception()
    else:
        flight.set_result(None)


def audience(call: Call) -> tuple[int, UUID | None, bool]:
    """Give those who may be served by one answer: a workspace, or one run of it; with or without a person's leave."""
    context = call.context
    return context.workspace_id, context.run_id if call.tool.per_run else None, context.is_approved


def canonical(arguments: object) -> str:
    """Give one text for equal arguments, however they were ordered."""
    return json.dumps(arguments, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
