"""Conversations that outgrow their model, on an in-memory journal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agents.engine.measuring import estimate
from agents.engine.messages import Citation, Reply, ToolCall, ToolResult
from agents.engine.ports import AgentConfig, CallInfo
from agents.testing import ScriptedModel, ScriptedTools, TestRun, WorkflowTest
from agents.workflows.dialogue import FULL
from agents.workflows.react import react

CONTEXT = 4_000
ROUNDS = 8
PAGE = "The tide comes and goes. " * 120


class Model(ScriptedModel):
    """Fetches page after page, then answers; asked for notes, it writes them."""

    def __init__(self, size: int | None = CONTEXT) -> None:
        super().__init__()
        self.size = size
        self.fetched = 0

    async def context(self, model: str, workspace_id: int) -> int | None:
        return self.size

    async def respond(self, request: Any, stream: Any) -> Reply:
        if request.purpose == "compact":
            self.replies.append("Notes: pages 1 and 2 say that the tide comes and goes [1].")
        elif self.fetched < ROUNDS:
            self.fetched += 1
            call = ToolCall(f"c{self.fetched}", "web_fetch", {"url": f"https://example.org/{self.fetched}"})
            self.replies.append(Reply("assistant", "", tool_calls=(call,), finish="tool_calls"))
        else:
            self.replies.append("It comes and goes [1], and again [8].")
        return replace(await super().respond(request, stream), context=self.size)


async def fetch(arguments: Any, info: CallInfo) -> ToolResult:
    return ToolResult("tool", PAGE, name="web_fetch", citations=(Citation(arguments["url"]),))


SHORT = [{"role": "user", "text": "Good day."}, {"role": "assistant", "text": "And to you."}]


def run_with(model: Model, *, crash_after: int = 0, earlier: list[dict[str, str]] = SHORT) -> TestRun:
    agent = AgentConfig("tester", 1, "Be brief.", "test:m", ("web_fetch",))
    test = WorkflowTest(model=model, tools=ScriptedTools(web_fetch=fetch), agent=agent)
    return test.run(react, {"goal": "What does the tide do?", "earlier": earlier}, crash_after=crash_after)


def test_the_older_part_is_summarised_by_a_step_and_sources_keep_their_numbers() -> None:
    model = Model()
    run = run_with(model)
    assert run.status == "succeeded", run.error
    assert [citation["source"] for citation in run.output["citations"]] == [
        "https://example.org/1",
        "https://example.org/8",
    ]
    compacts = [step for step in run.steps.values() if step.kind == "compact"]
    assert len(compacts) >= 2
    asked = [request for request in model.requests if request.purpose == "answer"]
    # Never beyond what the model takes: one round more than the mark at most.
    assert max(estimate(request.messages) for request in asked) < CONTEXT * FULL + estimate([run_result()])
    last = asked[-1].messages
    assert [message.role for message in last[:4]] == ["system", "user", "user", "assistant"]
    assert last[1].text == "What does the tide do?"
    assert last[2].text.startswith("Notes: ")
    # Each call still stands with its result.
    assert all(last[i + 1].call_id == last[i].tool_calls[0].id for i in range(3, len(last) - 1, 2))
    first = next(request for request in model.requests if request.purpose == "compact")
    assert [message.text for message in first.messages[:3]] == ["What does the tide do?", "Good day.", "And to you."]


def run_result() -> ToolResult:
    return ToolResult("tool", PAGE + "Cite this as: [1] https://example.org/1" * 4, name="web_fetch")


def test_a_crash_at_any_commit_compacts_nothing_twice() -> None:
    whole = run_with(Model())
    for crash_after in range(1, 30, 3):
        run = run_with(Model(), crash_after=crash_after)
        assert run.output == whole.output
        assert list(run.steps) == list(whole.steps)


def test_nothing_is_compacted_where_the_models_size_is_not_known() -> None:
    model = Model(size=None)
    run = run_with(model)
    assert run.status == "succeeded"
    assert not any(step.kind == "compact" for step in run.steps.values())


def test_a_last_round_that_is_too_long_by_itself_is_left_to_the_provider() -> None:
    model = Model(size=900)
    run = run_with(model)
    assert run.status == "succeeded"
    assert [step.kind for step in run.steps.values()].count("compact") < ROUNDS
    assert all(any(message.role == "tool" for message in request.messages) for request in model.requests[1:])


def test_a_thread_that_is_too_long_to_begin_with_is_summarised_before_the_first_request() -> None:
    earlier = [
        {"role": role, "text": f"{number}: {PAGE[:1500]}"} for number in range(10) for role in ("user", "assistant")
    ]
    model = Model()
    run = run_with(model, earlier=earlier)
    assert run.status == "succeeded", run.error
    steps = list(run.steps)
    assert steps[:2] == ["model context#0", "compact#0"]
    compact, first = model.requests[:2]
    assert [message.text[:2] for message in compact.messages[1:5]] == ["0:", "0:", "1:", "1:"]
    assert estimate(first.messages) < CONTEXT * FULL
    assert [message.role for message in first.messages[:4]] == ["system", "user", "user", "assistant"]
    assert first.messages[1].text.startswith("Notes: ")
    assert first.messages[2].text.startswith("9: ")
    assert first.messages[-1].text == "What does the tide do?"
    # Once calls are compacted too, the goal stands before the notes.
    assert model.requests[-1].messages[1].text == "What does the tide do?"


def test_who_begins_with_little_does_not_ask_how_large_the_model_is() -> None:
    assert "model context#0" not in run_with(Model()).steps
