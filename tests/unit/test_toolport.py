"""The tool port: how what tools say becomes what the engine understands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from agents.engine import errors as engine
from agents.engine.messages import Citation
from agents.engine.ports import CallInfo
from agents.engine.retry import Retry
from agents.workflows.toolport import RegistryToolPort
from tools import NoEffect, ToolContext, ToolFailed, ToolOutput, ToolRetry, tool
from tools.builtin.search_documents import search_documents
from tools.registry import Registry
from tools.types import File, FoundPassage

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def info(deadline: float | None = None) -> CallInfo:
    async def begin() -> float | None:
        return deadline

    return CallInfo(
        workspace_id=3,
        run_id=UUID(int=9),
        step_key="tool:x#0",
        attempt=1,
        idempotency_key="key-1",
        now=lambda: NOW,
        begin=begin,
    )


def find(workspace_id: int, query: str, limit: int) -> Sequence[FoundPassage]:
    return [FoundPassage(5, f"{query} in {workspace_id}", "A quote.", 0, 8, 1.0)][:limit]


@pytest.fixture
def known() -> Registry:
    return Registry()


@pytest.fixture
def port(known: Registry) -> RegistryToolPort:
    return RegistryToolPort(search=find, known=known)


async def test_a_call_sees_its_run(known: Registry, port: RegistryToolPort) -> None:
    @tool(into=known)
    async def look(context: ToolContext) -> dict[str, object]:
        "Look around."
        return {
            "workspace": context.workspace_id,
            "run": str(context.run_id),
            "step": context.step_key,
            "key": context.idempotency_key,
            "now": context.now().isoformat(),
        }

    result = await port.call("look", {}, info())
    assert result.ok
    assert result.name == "look"
    assert result.data == {
        "workspace": 3,
        "run": str(UUID(int=9)),
        "step": "tool:x#0",
        "key": "key-1",
        "now": NOW.isoformat(),
    }


async def test_a_failure_is_an_answer(known: Registry, port: RegistryToolPort) -> None:
    @tool(into=known)
    def fail(why: str) -> str:
        "Fail."
        raise ToolFailed(why)

    result = await port.call("fail", {"why": "no such city"}, info())
    assert (result.ok, result.text) == (False, "no such city")
    result = await port.call("fail", {}, info())
    assert not result.ok
    assert "why: is required" in result.text
    result = await port.call("fial", {}, info())
    assert not result.ok
    assert "'fial'" in result.text


async def test_other_outcomes_are_the_engine_s(known: Registry, port: RegistryToolPort) -> None:
    @tool(into=known)
    def again() -> str:
        "Ask for another try."
        raise ToolRetry("busy", retry_after=4)

    @tool(into=known)
    def nothing_done() -> str:
        "Do nothing."
        raise NoEffect("not sent")

    @tool(into=known)
    def wrong() -> object:
        "Return what is no result."
        return object()

    @tool(into=known)
    def broken() -> str:
        "Have a mistake."
        raise ZeroDivisionError

    with pytest.raises(engine.Retryable, match="busy") as retryable:
        await port.call("again", {}, info())
    assert retryable.value.retry_after == 4
    with pytest.raises(engine.NoEffect, match="not sent"):
        await port.call("nothing_done", {}, info())
    with pytest.raises(engine.Permanent) as permanent:
        await port.call("wrong", {}, info())
    assert permanent.value.type == "BadResult"
    with pytest.raises(ZeroDivisionError):
        await port.call("broken", {}, info())


@pytest.mark.fault(46)
async def test_a_file_that_comes_with_a_result_is_kept_with_the_step(known: Registry, port: RegistryToolPort) -> None:
    kept: list[tuple[str, bytes, str]] = []

    async def keep(name: str, content: bytes, media_type: str) -> None:
        if kept:
            raise engine.Permanent("A step keeps one file.")
        kept.append((name, content, media_type))

    @tool(into=known)
    def report() -> ToolOutput:
        """Write a report."""
        return ToolOutput("The beginning", file=File("report.txt", "text/plain", b"The beginning and the end"))

    result = await port.call("report", {}, replace(info(), keep=keep))
    assert kept == [("report.txt", b"The beginning and the end", "text/plain")]
    assert result.text == "The beginning\n\n[Kept as a file of this run: report.txt]"
    # What was done is done, whether its file can be kept or not.
    result = await port.call("report", {}, replace(info(), keep=keep))
    assert (result.ok, len(kept)) == (True, 1)
    assert result.text.endswith("[The file report.txt could not be kept: A step keeps one file.]")


async def test_specifications_carry_what_was_declared(known: Registry, port: RegistryToolPort) -> None:
    @tool(into=known, effect="idempotent", trust="trusted", kind="search", timeout=7, retry=Retry(max_attempts=5))
    def look(place: str) -> str:
        "Look there."
        return place

    spec = port.spec("look")
    assert (spec.effect, spec.trust, spec.kind, spec.timeout, spec.durable) == (
        "idempotent",
        "trusted",
        "search",
        7,
        "",
    )
    assert spec.retry == Retry(max_attempts=5)
    assert spec.parameters["required"] == ["place"]
    assert [found.name for found in port.specs(["nowhere", "look"])] == ["look"]
    with pytest.raises(KeyError):
        port.spec("nowhere")


async def test_documents_are_searched_in_the_run_s_workspace(known: Registry, port: RegistryToolPort) -> None:
    tool(into=known)(search_documents)
    result = await port.call("search_documents", {"query": "tea"}, info())
    assert result.citations == (Citation("document:5", "tea in 3", "A quote.", "0-8"),)


async def test_a_pause_beyond_the_deadline_is_refused(known: Registry, port: RegistryToolPort) -> None:
    @tool(into=known)
    async def pause(context: ToolContext, seconds: float) -> str:
        "Pause."
        await context.sleep(seconds)
        return "done"

    deadline = asyncio.get_running_loop().time() + 5
    assert (await port.call("pause", {"seconds": 0}, info(deadline))).ok
    result = await port.call("pause", {"seconds": 60}, info(deadline))
    assert not result.ok
    assert "ctx.sleep" in result.text
