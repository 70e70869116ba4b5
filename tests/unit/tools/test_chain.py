"""The wrappers around a tool's function, each alone and all together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from tests.unit.tools.fakes import FakeContext
from tools import Batch, ToolFailed, ToolOutput, ToolRetry, tool
from tools.chain import WRAPPERS, Call, Handler, compose
from tools.chain.batching import batch
from tools.chain.beginning import begin
from tools.chain.caching import cache
from tools.chain.limiting import limit
from tools.chain.running import run, shape
from tools.chain.sharing import share
from tools.chain.timing import timeout
from tools.chain.validating import validate
from tools.errors import BadResult, BadTool, InvalidArguments, ToolTimeout
from tools.registry import Registry, Tool, make_tool
from tools.types import Citation, File

pytestmark = pytest.mark.anyio


def echo(word: str) -> str:
    "Say it again."
    return word


async def inner(call: Call) -> Any:
    return call.values


def call_of(tool: Tool, context: FakeContext | None = None, **arguments: Any) -> Call:
    return Call(tool, arguments, context or FakeContext(), tool.validate(arguments))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


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


# -- sharing ---------------------------------------------------------------------------------------------------------


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


async def test_what_has_an_effect_is_never_shared() -> None:
    for effect in ("idempotent", "unsafe"):
        assert share(make_tool(echo, effect=effect), inner) is inner


# -- limits ----------------------------------------------------------------------------------------------------------


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


# -- results that are kept -------------------------------------------------------------------------------------------


class Counting:
    """A handler that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, call: Call) -> ToolOutput:
        self.calls += 1
        return ToolOutput(f"answer {self.calls}", {"n": self.calls}, (Citation("https://x.example"),))


async def test_a_result_that_is_kept_serves_equal_calls_alone() -> None:
    context, counting, made = FakeContext(), Counting(), make_tool(echo, effect="none", cache=60)
    handler = cache(made, counting)
    first, again, other = [await handler(call_of(made, context, word=word)) for word in ("tea", "tea", "rice")]
    assert (first.cached, again.cached, other.cached) == (False, True, False)
    assert (again.text, again.data, again.citations) == (first.text, first.data, first.citations)
    assert counting.calls == 2


async def test_what_depends_on_the_run_serves_that_run() -> None:
    counting, made = Counting(), make_tool(echo, effect="none", cache=60, per_run=True)
    handler, context = cache(made, counting), FakeContext()
    await handler(call_of(made, context, word="tea"))
    context.run_id = UUID(int=2)
    await handler(call_of(made, context, word="tea"))
    assert counting.calls == 2


async def test_a_tool_that_changed_is_not_answered_from_before() -> None:
    counting, context = Counting(), FakeContext()
    for description in ("Say it.", "Say it again."):
        made = make_tool(with_description(description), name="echo", effect="none", cache=60)
        await cache(made, counting)(call_of(made, context, word="tea"))
    assert counting.calls == 2


def with_description(text: str) -> Callable[[str], str]:
    def told(word: str) -> str:
        return word

    told.__doc__ = text
    return told


async def test_failures_are_not_kept() -> None:
    context, made = FakeContext(), make_tool(echo, effect="none", cache=60)

    async def fails(call: Call) -> ToolOutput:
        raise ToolFailed("no")

    with pytest.raises(ToolFailed):
        await cache(made, fails)(call_of(made, context, word="tea"))
    assert not context.kept


async def test_what_made_a_file_is_not_kept() -> None:
    context, made = FakeContext(), make_tool(echo, effect="none", cache=60)

    async def writes(call: Call) -> ToolOutput:
        return ToolOutput("see the file", file=File("all.txt", "text/plain", b"all"))

    await cache(made, writes)(call_of(made, context, word="tea"))
    assert not context.kept


# -- batching --------------------------------------------------------------------------------------------------------


class Word(BaseModel):
    word: str


class Lookup:
    """A batchable tool that writes down what it was asked, all at once."""

    def __init__(self, **options: Any) -> None:
        self.batches: list[list[str]] = []
        known = Registry()

        @tool(into=known, effect="none", batch=Batch(**options))
        async def look_up(words: list[Word]) -> Sequence[object]:
            "Look words up."
            self.batches.append([item.word for item in words])
            return [ToolFailed(f"no {item.word}") if item.word == "x" else item.word.upper() for item in words]

        self.tool = known.get("look_up")

    async def ask(self, *words: str) -> list[Any]:
        calls = (self.tool.run({"word": word}, FakeContext(run_id=None)) for word in words)  # type: ignore[arg-type]
        return await asyncio.gather(*calls, return_exceptions=True)


async def test_calls_become_one_call_and_each_gets_its_own_outcome() -> None:
    lookup = Lookup(max_size=3, window=10)
    outcomes = await lookup.ask("a", "x", "c")
    assert lookup.batches == [["a", "x", "c"]], "a full batch waits for nobody"
    assert (outcomes[0].text, outcomes[2].text) == ("A", "C")
    assert isinstance(outcomes[1], ToolFailed)


async def test_a_batch_that_is_not_full_goes_when_its_window_is_over() -> None:
    lookup = Lookup(max_size=100, window=0.01)
    assert [outcome.text for outcome in await lookup.ask("a", "b")] == ["A", "B"]
    assert lookup.batches == [["a", "b"]]


async def test_a_batchable_tool_shows_the_parameters_of_one_call() -> None:
    made = Lookup().tool
    assert made.schema["properties"] == {"word": {"type": "string"}}
    with pytest.raises(InvalidArguments, match="word: is required"):
        await made.run({}, FakeContext())


async def test_who_is_stopped_is_not_in_the_batch() -> None:
    lookup = Lookup(max_size=100, window=0.02)
    gone = asyncio.create_task(lookup.tool.run({"word": "gone"}, FakeContext()))
    await asyncio.sleep(0)
    gone.cancel()
    await lookup.ask("a")
    assert lookup.batches == [["a"]]


async def test_a_batch_with_too_few_results_fails_for_all() -> None:
    async def short(call: Call) -> list[str]:
        return []

    made = Lookup(max_size=2, window=10).tool
    handler = batch(made, short)
    calls = (handler(call_of(made, word=word)) for word in "ab")
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [BadResult, BadResult]


def takes_no_list(word: str) -> list[str]:
    "Take no list."
    return [word]


async def test_a_batchable_tool_takes_a_list() -> None:
    with pytest.raises(BadTool, match="a list of a pydantic model"):
        make_tool(takes_no_list, batch=Batch())


# -- declarations ----------------------------------------------------------------------------------------------------


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
