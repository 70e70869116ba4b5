"""A tool call that waits for a place before it begins: that is no attempt, takes none of its time, and may park."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest

from agents.engine import Context, Permanent, Retry
from agents.engine.canonical import JSON, decode
from agents.engine.errors import NoEffect, Retryable
from agents.engine.messages import ToolResult
from agents.engine.ports import CallInfo, Effect, ToolSpec
from agents.testing import WorkflowTest


class OnePlace:
    """One tool, whose calls wait for so many seconds before they begin."""

    def __init__(self, act: Callable[[int], str], *, effect: Effect, waits: Iterable[float]) -> None:
        self.act = act
        self.effect = effect
        self.waits = list(waits)
        self.begun: list[int] = []
        self.resumed: list[bool] = []

    def spec(self, name: str) -> ToolSpec:
        retry = Retry(max_attempts=2, first=1.0, jitter=0.0)
        return ToolSpec(name, name, {"type": "object"}, effect=self.effect, timeout=30.0, retry=retry)

    def specs(self, names: Iterable[str]) -> list[ToolSpec]:
        return [self.spec(name) for name in names]

    async def needs_approval(
        self, name: str, arguments: JSON, *, workspace_id: int, is_tainted: bool, because: str = ""
    ) -> None:
        """Nobody is asked."""

    async def call(self, name: str, arguments: JSON, info: CallInfo) -> ToolResult:
        self.resumed.append(info.is_resumed)
        if self.waits:
            await info.wait_until(info.now() + timedelta(seconds=self.waits.pop(0)), "host:example.org")
        await info.begin()
        self.begun.append(info.attempt)
        return ToolResult("tool", self.act(info.attempt), name=name)


async def flow(ctx: Context, input: Any) -> Any:
    return (await ctx.tool("fetch")).text


def act(attempt: int) -> str:
    return f"done in attempt {attempt}"


@pytest.mark.parametrize("effect", ["none", "idempotent", "unsafe"])
def test_a_place_that_is_waited_for_is_no_attempt(effect: Effect) -> None:
    tools = OnePlace(act, effect=effect, waits=[600.0, 600.0])
    test = WorkflowTest(tools=tools)
    began = test.clock.now()
    run = test.run(flow)
    step = run.steps["tool:fetch#0"]
    assert run.output == "done in attempt 1"
    assert (step.attempt, step.attempts, tools.begun) == (1, None, [1])
    assert tools.resumed == [False, True, True], "each time anew, as the run was parked"
    assert step.started_at >= began + timedelta(seconds=1200)
    assert run.events.count("run_waiting") == 2


def test_a_run_that_waits_says_for_what_and_until_when() -> None:
    test = WorkflowTest(tools=OnePlace(act, effect="none", waits=[600.0]))
    id = test.queue(flow)
    run = test.resume(id)
    # Parked and woken in one go, the reason stands in the log.
    events = test.store.runs[id].events
    reasons = [decode(event.data)["reason"] for _, event in events if event.kind == "run_waiting"]
    assert run.status == "succeeded"
    assert reasons == ["waiting: limit host:example.org, about 2026-01-01 00:10:00 UTC"]


async def crowd(ctx: Context, input: Any) -> Any:
    return [result.text for result in await ctx.gather(*(ctx.tool("fetch") for _ in range(3)))]


def test_a_limit_that_many_branches_wait_for_is_named_once() -> None:
    test = WorkflowTest(tools=OnePlace(act, effect="none", waits=[900.0, 600.0, 1200.0]))
    id = test.queue(crowd)
    assert test.resume(id).status == "succeeded"
    reasons = [decode(event.data)["reason"] for _, event in test.store.runs[id].events if event.kind == "run_waiting"]
    assert reasons[0] == "waiting: limit host:example.org, about 2026-01-01 00:10:00 UTC"


def test_the_second_attempt_may_wait_like_the_first() -> None:
    def fails_once(attempt: int) -> str:
        if attempt == 1:
            raise Retryable("busy")
        return act(attempt)

    tools = OnePlace(fails_once, effect="idempotent", waits=[5.0, 600.0, 600.0])
    run = WorkflowTest(tools=tools).run(flow)
    assert run.output == "done in attempt 2"
    assert tools.begun == [1, 2]
    assert [entry["type"] for entry in decode(run.steps["tool:fetch#0"].attempts)] == ["Retryable"]


def test_an_unsafe_call_that_failed_before_it_began_had_no_effect() -> None:
    class Refusing(OnePlace):
        async def call(self, name: str, arguments: JSON, info: CallInfo) -> ToolResult:
            raise Permanent("not allowed", "Refused")

    run = WorkflowTest(tools=Refusing(act, effect="unsafe", waits=[])).run(flow)
    assert (run.status, run.error["type"]) == ("failed", "Refused")


def test_an_unsafe_call_that_failed_after_it_began_is_unknown() -> None:
    def breaks(attempt: int) -> str:
        raise Permanent("broke off")

    run = WorkflowTest(tools=OnePlace(breaks, effect="unsafe", waits=[600.0])).run(flow)
    assert (run.status, run.steps["tool:fetch#0"].status) == ("waiting", "unknown")
    assert run.reason.startswith("outcome of tool:fetch#0 unknown")


def test_a_crash_of_a_call_that_had_begun_is_an_interruption() -> None:
    died: list[bool] = []

    class Dies(OnePlace):
        async def call(self, name: str, arguments: JSON, info: CallInfo) -> ToolResult:
            if not died:
                await info.begin()
                died.append(True)
                await asyncio.Event().wait()
            return await super().call(name, arguments, info)

    test = WorkflowTest(tools=Dies(act, effect="idempotent", waits=[600.0]))
    run = test.run(flow, crash_when=lambda: bool(died) and test.journal.batches_written >= 2)
    step = run.steps["tool:fetch#0"]
    assert run.output == "done in attempt 2"
    assert [entry["type"] for entry in decode(step.attempts)] == ["Interrupted"], "the wait after it is none"


def test_no_effect_is_tried_again_after_it_began() -> None:
    def nothing_yet(attempt: int) -> str:
        if attempt == 1:
            raise NoEffect("not sent")
        return act(attempt)

    run = WorkflowTest(tools=OnePlace(nothing_yet, effect="unsafe", waits=[5.0, 5.0])).run(flow)
    assert run.output == "done in attempt 2"
