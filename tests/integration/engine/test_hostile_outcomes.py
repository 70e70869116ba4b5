"""Values and errors that no database should see: cleaned, or a failure with a name, the same on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from agents.engine import Context, Retry, StepFailed, workflow
from agents.engine.messages import Reply, ToolResult, user
from agents.testing import ScriptedModel, ScriptedTools
from tests.driving import RunningDriver, kinds, steps_of, until

Queue = Callable[..., UUID]


class Unsayable(Exception):
    """An error that fails even at saying what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unwilling:
    """A value whose JSON form can't be had."""

    def to_json(self) -> Any:
        raise KeyError("no form")


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def ring() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


CLEANED: dict[str, tuple[Any, Any]] = {
    "NUL": ("a\x00b", "a\ufffdb"),
    "lone surrogate": (["\ud800", "\udfff\ud800"], ["\ufffd", "\ufffd\ufffd"]),
    "keys": ({"a\x00": 1, "\ud800": 2}, {"a\ufffd": 1, "\ufffd": 2}),
    "no numbers": ([float("nan"), float("inf"), -float("inf")], [None, None, None]),
    "huge integers": ([2**63 - 1, 2**63, -(2**63) - 1], [2**63 - 1, str(2**63), str(-(2**63) - 1)]),
}
REFUSED: dict[str, Callable[[], Any]] = {
    "levels": lambda: nested(3000),
    "ring": ring,
    "enormous integer": lambda: 10**5000,
    "no JSON": lambda: {1, 2},
    "fails at it": Unwilling,
}


@pytest.mark.fault(47)
def test_all_that_a_run_records_is_cleaned(
    driver: RunningDriver, queue: Queue, model: ScriptedModel, tools: ScriptedTools
) -> None:
    async def answer(arguments: Any, info: Any) -> ToolResult:
        return ToolResult("tool", "t\x00\ud800", name="odd", data=arguments["value"])

    @workflow("hostile-child")
    async def child(ctx: Context, input: Any) -> Any:
        return input

    @workflow("hostile")
    async def flow(ctx: Context, input: Any) -> Any:
        found = []
        for value, _ in CLEANED.values():
            found.append(await ctx.step("made", lambda value=value: value))
            found.append(await ctx.step("given", lambda given: given, value))
            await ctx.emit("told", value)
            found.append(await ctx.call("hostile-child", value))
            model.replies.append(Reply("assistant", "m\x00\ud800", model="m"))
            said = await ctx.think([user("u\x00\ud800")])
            tooled = await ctx.tool("odd", value=value)
            found.append([said.text, tooled.text, tooled.data])
            # Parked and taken up again: what is recorded comes back the same.
            await ctx.sleep(0.1)
        return [found, [value for value, _ in CLEANED.values()]]

    tools.functions["odd"] = answer
    run_id = queue("hostile")
    run = until(run_id, seconds=40.0)
    assert run.status == "succeeded", run.error
    found, made = run.output
    values = [expected for _, expected in CLEANED.values()]
    texts = ["m\ufffd\ufffd", "t\ufffd\ufffd"]
    assert made == values
    assert found == [one for value in values for one in (value, value, value, [*texts, value])]
    kinds(run_id)


@pytest.mark.fault(47)
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_form_is_a_failure_with_a_name(driver: RunningDriver, queue: Queue, name: str) -> None:
    @workflow("formless")
    async def flow(ctx: Context, input: Any) -> Any:
        with pytest.raises(StepFailed, match="NotEncodable"):
            await ctx.step("made", REFUSED[name], retry=Retry(max_attempts=3, first=30.0))
        if input["ends"] == "with its step's input":
            await ctx.step("given", lambda value: 1, REFUSED[name]())
        if input["ends"] == "with its progress":
            await ctx.emit("told", REFUSED[name]())
        return REFUSED[name]()

    for ends in ("with its step's input", "with its progress", "with its result"):
        run = until(queue("formless", {"ends": ends}))
        assert (run.status, run.error["type"]) == ("failed", "NotEncodable"), (ends, run.error)
        assert steps_of(run.pk)["made#0"].status == "failed"
        kinds(run.pk)


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("error", "message"),
    [(ValueError("e\x00\ud800"), "e\ufffd\ufffd"), (Unsayable(), "Unsayable"), (ValueError("x" * 10**6), "x" * 4000)],
    ids=["cleaned", "unsayable", "endless"],
)
def test_errors_are_recorded_whatever_they_say(
    driver: RunningDriver, queue: Queue, error: Exception, message: str
) -> None:
    def fail() -> None:
        raise error

    @workflow("fails-oddly")
    async def flow(ctx: Context, input: Any) -> Any:
        if input["in_step"]:
            await ctx.step("fails", fail, retry=Retry(max_attempts=1))
        raise error

    for in_step in (True, False):
        run = until(queue("fails-oddly", {"in_step": in_step}))
        assert (run.status, run.error["message"]) == ("failed", message)
        kinds(run.pk)
