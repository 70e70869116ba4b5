"""Calls of all runs of this process, gathered for a moment and made as one call of a list."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.chain.calls import Call, Handler
from tools.declarations import Batch
from tools.errors import BadResult

if TYPE_CHECKING:
    from tools.registry import Tool


def batch(tool: Tool, inner: Handler) -> Handler:
    """Gather the calls of a tool that takes a list; each gets its own outcome."""
    return inner if tool.batch is None else _Batching(tool, tool.batch, inner)


@dataclass(slots=True, eq=False)
class _Waiting:
    call: Call
    future: asyncio.Future[Any]


class _Gathering:
    """Calls that will be made together, once there are enough or the first has waited for long enough."""

    def __init__(self, close: asyncio.TimerHandle | None = None) -> None:
        self.waiting: list[_Waiting] = []
        self.close = close


class _Batching:
    def __init__(self, tool: Tool, batch: Batch, inner: Handler) -> None:
        self._tool = tool
        self._batch = batch
        self._inner = inner
        self._gathering: dict[asyncio.AbstractEventLoop, _Gathering] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, call: Call) -> Any:
        loop = asyncio.get_running_loop()
        gathering = self._gathering.get(loop)
        if gathering is None:
            gathering = self._gathering[loop] = _Gathering()
            gathering.close = loop.call_later(self._batch.window, self._send, loop)
        waiting = _Waiting(call, loop.create_future())
        gathering.waiting.append(waiting)
        if len(gathering.waiting) >= self._batch.max_size:
            self._send(loop)
        return await waiting.future

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        gathering = self._gathering.pop(loop, None)
        if gathering is None:
            return
        if gathering.close is not None:
            gathering.close.cancel()
        # Not those whose step was cancelled or ran out of time meanwhile: nobody would take their result.
        wanted = [waiting for waiting in gathering.waiting if not waiting.future.done()]
        if wanted:
            task = loop.create_task(self._make(wanted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _make(self, wanted: list[_Waiting]) -> None:
        first = wanted[0].call
        values = {self._tool.parameters.names["calls"]: [waiting.call.values["calls"] for waiting in wanted]}
        try:
            results = await self._inner(Call(self._tool, None, first.context, values))
            _check(self._tool.name, results, len(wanted))
        except BaseException as error:
            for waiting in wanted:
                _settle(waiting.future, error if isinstance(error, Exception) else _broken_off(self._tool.name))
            if not isinstance(error, Exception):
                raise
            return
        for waiting, result in zip(wanted, results, strict=True):
            _settle(waiting.future, result)


def _check(name: str, results: Any, expected: int) -> None:
    if not isinstance(results, (list, tuple)) or len(results) != expected:
        got = f"{len(results)} results" if isinstance(results, (list, tuple)) else type(results).__name__
        raise BadResult(f"The tool {name} was given {expected} calls in one list and returned {got}.")


def _settle(future: asyncio.Future[Any], result: Any) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _broken_off(name: str) -> BadResult:
    return BadResult(f"The call of {name} was broken off: this process stops.")
