"""The workflow "map" on an in-memory journal."""

from __future__ import annotations

from typing import Any

import pytest

from agents.engine import Context, Permanent
from agents.engine.canonical import decode
from agents.engine.ports import AgentConfig
from agents.testing import TestAgent, TestRun, WorkflowTest
from agents.workflows.mapping import map_inputs
from agents.workflows.options import Fault, validate_options

bad: set[int] = set()
seen: list[int] = []


async def double(ctx: Context, input: Any) -> Any:
    """Give twice the number, unless it is a bad one."""
    seen.append(input["n"])
    if input["n"] in bad:
        raise Permanent("It is a bad number.")
    return 2 * input["n"]


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    bad.clear()
    seen.clear()


def engine(**options: Any) -> WorkflowTest:
    lead = AgentConfig("lead", 1, options=options, sub_agents=("clerk",))
    test = WorkflowTest(agent=lead, agents=[TestAgent(AgentConfig("clerk", 1), workflow="double")])
    test._functions["double"] = double
    return test


def inputs(count: int) -> Any:
    return {"inputs": [{"n": n} for n in range(count)]}


def progress(run: TestRun) -> list[Any]:
    told = [decode(event.data) for _, event in run.memory.events if event.kind == "progress"]
    return [event["data"] for event in told]


def test_each_input_is_a_sub_run_and_each_window_one_step() -> None:
    test = engine(width=10)
    run = test.run(map_inputs, inputs(25))
    assert run.output == {"count": 25, "succeeded": 25, "failed": 0, "failures": []}
    below = test.below(run.memory.row.id)
    assert {key: child.output for key, child in below.items()} == {
        f"each:clerk#0/{n:06d}/call": 2 * n for n in range(25)
    }
    # The parent keeps a record for each window, none for each input, and was replayed once for each.
    assert [key for key in run.steps if key.startswith("each")] == [f"each:clerk#0/window#{n}" for n in range(3)]
    assert run.events.count("run_waiting") == 3
    assert not run.memory.messages
    assert progress(run) == [{"done": n, "failed": 0, "of": 25} for n in (0, 10, 20, 25)]


def test_failures_are_left_out_tried_again_or_the_end() -> None:
    bad.update({3, 7})
    run = engine(width=5).run(map_inputs, inputs(10))
    assert (run.output["succeeded"], run.output["failed"]) == (8, 2)
    assert run.output["failures"][0] == {"number": 3, "type": "Permanent", "message": "It is a bad number."}
    seen.clear()
    test = engine(width=5, on_failure="retry", retries=2)
    run = test.run(map_inputs, inputs(10))
    assert sorted(seen) == sorted([*range(10), 3, 7, 3, 7])
    assert "each:clerk#2/000003/call" in test.below(run.memory.row.id)
    seen.clear()
    run = engine(width=5, on_failure="stop").run(map_inputs, inputs(10))
    assert (run.status, run.error["type"]) == ("failed", "InputFailed")
    assert max(seen) == 4


def test_a_crash_at_any_commit_does_nothing_twice() -> None:
    for crash_after in range(1, 12):
        seen.clear()
        run = engine(width=4).run(map_inputs, inputs(10), crash_after=crash_after)
        assert run.output == {"count": 10, "succeeded": 10, "failed": 0, "failures": []}
        assert sorted(seen) == list(range(10)), crash_after


def test_goals_may_be_texts_and_what_is_no_list_is_refused() -> None:
    test = engine()
    asked: list[Any] = []

    async def note(ctx: Context, input: Any) -> None:
        asked.append(input)

    test._functions["double"] = note
    assert test.run(map_inputs, ["a", "b"]).status == "succeeded"
    assert asked == [{"goal": "a"}, {"goal": "b"}]
    given: Any
    for given in (None, {}, [], "x", {"inputs": 3}):
        assert engine().run(map_inputs, given).error["type"] == "BadInputs"
    assert "at most 10000" in engine().run(map_inputs, ["x"] * 10_001).error["message"]


def test_options_are_checked_before_they_are_saved() -> None:
    assert validate_options("map", {}, ["clerk"]) == []
    assert [fault.field for fault in validate_options("map", {}, ["a", "b"])] == ["agent"]
    assert validate_options("map", {"agent": "c"}, ["a"]) == [Fault("agent", "'c' is not among the sub-agents.")]
    assert [fault.field for fault in validate_options("map", {"width": 0}, ["a"])] == ["width"]
    assert [fault.field for fault in validate_options("team", {"workers": ["x"]}, ["a"])] == ["workers.0"]
    assert validate_options("own-workflow", {"anything": 1}) == []
