"""A model that makes the same call again and again, on an in-memory journal."""

from __future__ import annotations

from typing import Any

import pytest

from agents.engine.messages import Reply, ToolCall, ToolResult
from agents.engine.ports import AgentConfig, CallInfo
from agents.testing import ScriptedModel, ScriptedTools, TestRun, WorkflowTest
from agents.workflows.react import react


class Page:
    """A page that is always the same; it counts who asks for it."""

    times = 0

    async def fetch(self, arguments: Any, info: CallInfo) -> ToolResult:
        self.times += 1
        return ToolResult("tool", "Under construction.", name="web_fetch")


def asks(number: int, **arguments: Any) -> Reply:
    name = "wait" if "seconds" in arguments else "web_fetch"
    return Reply("assistant", "", tool_calls=(ToolCall(f"c{number}", name, arguments),), finish="tool_calls")


def run_with(replies: list[Reply | str], page: Page, **agent: Any) -> tuple[TestRun, ScriptedModel]:
    model = ScriptedModel(replies)
    config = AgentConfig("tester", 1, "", "test:m", ("web_fetch", "wait"), {"max_rounds": 30}, **agent)
    test = WorkflowTest(model=model, tools=ScriptedTools(web_fetch=page.fetch), agent=config)
    return test.run(react, "When?"), model


@pytest.mark.fault(25)
def test_the_model_is_told_and_then_the_run_is_ended() -> None:
    page = Page()
    run, model = run_with([asks(i, url="https://example.org/", page=1) for i in range(20)], page, caps={"repeats": 3})
    assert run.status == "failed"
    assert run.error["type"] == "TooManyRepeats"
    assert run.error["message"] == (
        "The model had called web_fetch with the same arguments 3 times, was told that this leads nowhere, "
        "and did it again."
    )
    assert page.times == 3
    assert (
        "made this call with the same arguments 3 times; it was not made again" in model.requests[4].messages[-1].text
    )
    assert len(model.requests) == 5


@pytest.mark.fault(25)
def test_who_hears_it_may_go_on_and_other_calls_are_others() -> None:
    page = Page()
    same = [asks(i, url="https://example.org/") for i in range(3)]
    others = [asks(i, url=f"https://example.org/{i}") for i in range(4)]
    run, _ = run_with([*same, *others, "Nobody knows."], page, caps={"repeats": 2})
    assert (run.status, run.output["text"]) == ("succeeded", "Nobody knows.")
    assert page.times == 2 + 4


@pytest.mark.fault(25)
def test_a_loop_of_a_careless_model_is_ended_where_nobody_set_a_cap() -> None:
    page = Page()
    run, _ = run_with([asks(i, url="https://example.org/") for i in range(30)], page)
    assert run.error["type"] == "TooManyRepeats"
    assert page.times == 5


def test_pauses_are_meant_to_be_made_again() -> None:
    run, _ = run_with([*(asks(i, seconds=60) for i in range(12)), "Patience pays."], Page(), caps={"repeats": 2})
    assert run.output["text"] == "Patience pays."
