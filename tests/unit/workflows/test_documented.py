"""The example of docs/workflows.md runs as it stands there, uses all of `ctx`, and survives crashes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from agents.engine import Context, registry
from agents.engine.ports import AgentConfig
from agents.testing import ScriptedModel, ScriptedTools, TestAgent, TestRun, WorkflowTest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "workflows.md"
SHELVES = [{"places": 9, "pieces": 7}, {"places": 4, "pieces": 1}, {"places": 1, "pieces": 1}]
INPUT = {"goal": "Count.", "shelves": SHELVES}
ORDER = '{"article": "rope", "pieces": 5}'


def example() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(code)


@pytest.fixture
def stocktake(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The workflow of the page; what it registers is gone afterwards."""
    monkeypatch.setattr(registry, "_workflows", dict(registry._workflows))
    names: dict[str, Any] = {"__name__": "documented"}
    exec(compile(example(), str(PAGE), "exec"), names)  # noqa: S102 (our own page)
    return names["stocktake"]


def run(stocktake: Any, crash_after: int = 0) -> TestRun:
    async def look_up(arguments: Any, info: Any) -> str:
        return f"{arguments['article']} costs 2."

    test = WorkflowTest(
        model=ScriptedModel([ORDER, "Rope is missing."]),
        tools=ScriptedTools(look_up=look_up),
        agent=AgentConfig("keeper", 1, model="test:m", tools=("look_up",), sub_agents=("clerk",)),
        agents=[TestAgent(AgentConfig("clerk", 1))],
    )
    run_id = test.queue(stocktake, INPUT)
    test.resume(run_id, crash_after=crash_after)
    test.decide(run_id, "ask#0", "answered", value="North")
    test.resume(run_id)
    test.decide(run_id, "approve#0", "approved", value={"article": "rope", "pieces": 6})
    return test.resume(run_id)


def test_the_example_uses_all_of_ctx() -> None:
    offered = {name for name in vars(Context) if not name.startswith("_")}
    assert offered - set(re.findall(r"\bctx\.(\w+)", example())) == set()


def test_the_example_runs_as_it_stands(stocktake: Any) -> None:
    done = run(stocktake)
    assert done.status == "succeeded", done.error
    assert done.output["ordered"] == "6 × rope"
    assert done.output["counted"] == 3
    assert done.output["branches"] == ["l", "r", "near", 1, 2, 4, "late, and somebody too late"]
    assert (done.output["summary"], done.output["helpers"]) == ("Rope is missing.", ["clerk"])
    assert (done.output["by"], done.output["file"]) == ("keeper", "stocktake.txt")


@pytest.mark.parametrize("crash_after", [1, 3, 5, 8, 11, 14])
def test_the_example_comes_to_the_same_after_a_crash(stocktake: Any, crash_after: int) -> None:
    expected, found = run(stocktake).output, run(stocktake, crash_after).output
    # The number is the run's own.
    assert {**found, "number": ""} == {**expected, "number": ""}
