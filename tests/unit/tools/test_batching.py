"""Calls of a batchable tool that become one call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from tests.unit.tools.calls import call_of
from tests.unit.tools.fakes import FakeContext
from tools import Batch, ToolFailed, tool
from tools.chain import Call
from tools.chain.batching import batch
from tools.errors import BadResult, BadTool, InvalidArguments
from tools.registry import Registry, make_tool

pytestmark = pytest.mark.anyio


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
