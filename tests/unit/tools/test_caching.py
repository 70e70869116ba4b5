"""Results of tools that are kept for a while, and whom they serve."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from tests.unit.tools.calls import call_of, echo
from tests.unit.tools.fakes import FakeContext
from tools import ToolFailed, ToolOutput
from tools.chain import Call
from tools.chain.caching import cache
from tools.registry import make_tool
from tools.types import Citation, File

pytestmark = pytest.mark.anyio


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
