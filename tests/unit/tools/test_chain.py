"""The wrappers around a tool's function, all together and each alone; batching, caching and sharing are beside this."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.tools.calls import call_of, echo
from tests.unit.tools.fakes import FakeContext
from tools import ToolFailed, ToolOutput, ToolRetry
from tools.chain import WRAPPERS, Call, Handler, compose
from tools.chain.beginning import begin
from tools.chain.limiting import limit
from tools.chain.running import run, shape
from tools.chain.timing import timeout
from tools.chain.validating import validate
from tools.errors import BadResult, BadTool, InvalidArguments, ToolTimeout
from tools.registry import Tool, make_tool

pytestmark = pytest.mark.anyio


async def test_wrong_arguments_go_no_further() -> None:
    made = make_tool(echo)
    reached: list[Call] = []

    async def noted(call: Call) -> ToolOutput:
        reached.append(call)
        return ToolOutput("")

    with pytest.raises(InvalidArguments, match="word"):
        await validate(made, noted)(Call(made, {"wrod": 1}, FakeContext()))
    assert not reached
    await validate(made, noted)(Call(made, {"word": "tea"}, FakeContext()))
    assert reached[0].values == {"word": "tea"}


async def test_a_call_has_begun_when_its_function_is_called() -> None:
    context = FakeContext()

    async def seen(call: Call) -> int:
        return context.begun

    made = make_tool(echo)
    assert await begin(made, seen)(call_of(made, context, word="")) == 1


async def test_what_takes_too_long_is_broken_off() -> None:
    stopped = asyncio.Event()

    async def endless(call: Call) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    made = make_tool(echo, timeout=0.01)
    with pytest.raises(ToolTimeout, match=r"0\.01 s"):
        await timeout(made, endless)(call_of(made, word=""))
    assert stopped.is_set()


async def test_a_time_out_of_the_tool_s_own_is_not_the_chain_s() -> None:
    async def gives_up(call: Call) -> None:
        raise TimeoutError("its own")

    made = make_tool(echo)
    with pytest.raises(TimeoutError, match="its own"):
        await timeout(made, gives_up)(call_of(made, word=""))


async def test_the_function_runs_where_it_belongs() -> None:
    async def here() -> str:
        "Run on the loop."
        return "loop" if asyncio.get_running_loop().is_running() else ""

    def there() -> str:
        "Run in a thread."
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return "thread"

    assert await run(call_of(make_tool(here))) == "loop"
    assert await run(call_of(make_tool(there))) == "thread"


async def test_what_is_no_result_is_said_to_be_none() -> None:
    async def strange(call: Call) -> object:
        return object()

    made = make_tool(echo)
    with pytest.raises(BadResult):
        await shape(made, strange)(call_of(made, word=""))


# -- limits ------------------------------------------------------------------------------------------------------------


async def test_a_call_counts_for_its_tool_and_for_what_is_declared_until_it_ends() -> None:
    context, made = FakeContext(), make_tool(echo, limits=["word:{word}"])

    async def fails(call: Call) -> None:
        assert (context.admitted, context.released) == ([["tool:echo", "word:tea"]], 0)
        raise ToolFailed("no")

    with pytest.raises(ToolFailed):
        await limit(made, fails)(call_of(made, context, word="tea"))
    assert context.released == 1


async def test_a_pause_that_the_other_side_asks_for_is_everybody_s() -> None:
    context, made = FakeContext(), make_tool(echo, limits=["word:{word}"])

    async def refused(call: Call) -> None:
        raise ToolRetry("too many requests", retry_after=7.0)

    with pytest.raises(ToolRetry):
        await limit(made, refused)(call_of(made, context, word="tea"))
    # The word's, not the tool's: it may be called for other words.
    assert context.paused == [(["word:tea"], 7.0, "too many requests")]


async def test_a_failure_without_a_time_pauses_nobody() -> None:
    context, made = FakeContext(), make_tool(echo, limits=["word:{word}"])

    async def fails(call: Call) -> None:
        raise ToolRetry("broken off")

    with pytest.raises(ToolRetry):
        await limit(made, fails)(call_of(made, context, word="tea"))
    assert context.paused == []


# -- declarations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"limits": ["host:{host}"]}, "no parameter 'host'"),
        ({"limits": ["host:{word.__class__}"]}, "nothing else"),
        ({"limits": ["host:{word"]}, "can't be read"),
        ({"limits": "word"}, "list of names"),
        ({"cache": -1}, "number of seconds"),
        ({"cache": 60}, "only what has no effect"),
        ({"approval": "sometimes"}, "'when_tainted'"),
        ({"isolation": "async"}, "'thread'"),
        ({"isolation": "galaxy"}, "one of"),
        ({"memory": 64}, "only a tool with isolation='process'"),
        ({"isolation": "process", "memory": 2}, "number of MB"),
        ({"isolation": "process", "durable": "sleep"}, "the workflow carries it out"),
    ],
)
async def test_a_wrong_declaration_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(BadTool, match=why):
        make_tool(echo, **options)


async def test_the_names_of_limits_are_made_of_the_arguments() -> None:
    made = make_tool(echo, limits=["tool:echo", "word:{word}", "word:{word}"])
    assert made.limits.of({"word": "{x}"}) == ["tool:echo", "word:{x}"]
    assert make_tool(echo, limits=lambda given: [given["word"].upper()]).limits.of({"word": "a"}) == ["A"]


async def test_the_whole_chain_is_composed_once_per_tool() -> None:
    wrapped: list[str] = []

    def named(name: str) -> Callable[[Tool, Handler], Handler]:
        def wrap(tool: Tool, inner: Handler) -> Handler:
            async def handler(call: Call) -> Any:
                wrapped.append(name)
                return await inner(call)

            return handler

        return wrap

    made = make_tool(echo)
    handler = compose(made, (named("first"), validate, named("second"), *WRAPPERS[1:]))
    output = await handler(Call(made, {"word": "tea"}, FakeContext()))
    assert (output.text, wrapped) == ("tea", ["first", "second"])
