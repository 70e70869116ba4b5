"""Equal calls of a tool that are in flight at once, and have no effect, are one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.tools.calls import call_of, echo
from tests.unit.tools.fakes import FakeContext
from tools import ToolFailed, ToolOutput
from tools.chain import Call
from tools.chain.sharing import share
from tools.errors import ToolTimeout
from tools.registry import Tool, make_tool

pytestmark = pytest.mark.anyio


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


class Slow:
    """A handler that answers when it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = asyncio.Event()

    async def __call__(self, call: Call) -> ToolOutput:
        self.asked += 1
        await self.answer.wait()
        return ToolOutput(f"answer {self.asked}")


def pure() -> Tool:
    return make_tool(echo, effect="none")


async def test_equal_calls_in_flight_are_one() -> None:
    slow, made = Slow(), pure()
    handler = share(made, slow)
    calls = [asyncio.ensure_future(handler(call_of(made, word="tea"))) for _ in range(500)]
    other = asyncio.ensure_future(handler(call_of(made, word="rice")))
    await until(lambda: slow.asked == 2)
    slow.answer.set()
    outputs: list[ToolOutput] = await asyncio.gather(*calls)
    await other
    assert slow.asked == 2
    assert {output.text for output in outputs} == {"answer 2"}
    assert [output.cached for output in outputs].count(False) == 1
    await handler(call_of(made, word="tea"))
    assert slow.asked == 3, "what is over is asked for anew"


async def test_workspaces_share_nothing() -> None:
    slow, made = Slow(), pure()
    handler = share(made, slow)
    calls = [
        asyncio.ensure_future(handler(call_of(made, FakeContext(workspace_id=workspace), word="tea")))
        for workspace in (1, 1, 2)
    ]
    await until(lambda: slow.asked == 2)
    slow.answer.set()
    await asyncio.gather(*calls)
    assert slow.asked == 2


async def test_a_failure_is_everybody_s() -> None:
    async def fails(call: Call) -> ToolOutput:
        await asyncio.sleep(0)
        raise ToolFailed("no such word")

    made = pure()
    handler = share(made, fails)
    outcomes = await asyncio.gather(*(handler(call_of(made, word="tea")) for _ in range(3)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no such word"] * 3


async def test_whoever_is_stopped_leaves_the_call_to_the_next() -> None:
    slow, made = Slow(), pure()
    handler = share(made, slow)
    first = asyncio.ensure_future(handler(call_of(made, word="tea")))
    others = [asyncio.ensure_future(handler(call_of(made, word="tea"))) for _ in range(3)]
    await until(lambda: slow.asked == 1)
    others[0].cancel()
    first.cancel()
    await until(lambda: slow.asked == 2)
    slow.answer.set()
    outputs = await asyncio.gather(*others[1:])
    assert [output.text for output in outputs] == ["answer 2"] * 2


async def test_whose_time_is_over_takes_those_who_wait_along() -> None:
    slow, made = Slow(), pure()
    handler = share(made, slow)
    late = FakeContext(deadline=asyncio.get_running_loop().time())
    first = asyncio.ensure_future(handler(call_of(made, late, word="tea")))
    other = asyncio.ensure_future(handler(call_of(made, word="tea")))
    await until(lambda: slow.asked == 1)
    first.cancel()
    with pytest.raises(ToolTimeout):
        await other
    assert slow.asked == 1


async def inner(call: Call) -> Any:
    return call.values


async def test_what_has_an_effect_is_never_shared() -> None:
    for effect in ("idempotent", "unsafe"):
        assert share(make_tool(echo, effect=effect), inner) is inner
