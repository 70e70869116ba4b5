"""The workflow "react" on an in-memory journal."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from agents.engine.canonical import decode
from agents.engine.messages import Citation, Reply, ToolCall, ToolResult
from agents.engine.ports import AgentConfig, CallInfo
from agents.llm import ModelAccess
from agents.testing import ScriptedModel, ScriptedTools, WorkflowTest
from agents.workflows.react import react
from tools.builtin import ask_person  # noqa: F401 (registers the tool)

HARBOUR = Citation("document:7", "Harbour", "The harbour opens at seven. It closes at nine.", "0-48")
PAGE = Citation("https://example.org/tide", "Tides")


async def search_documents(arguments: Any, info: CallInfo) -> ToolResult:
    return ToolResult("tool", "The harbour opens at seven.", name="search_documents", citations=(HARBOUR,))


async def web_fetch(arguments: Any, info: CallInfo) -> ToolResult:
    if "url" not in arguments:
        return ToolResult("tool", "url: is required.", name="web_fetch", ok=False, error="InvalidArguments")
    return ToolResult("tool", "High tide is at noon.", name="web_fetch", citations=(PAGE,))


def calls(*named: tuple[str, dict[str, Any]]) -> Reply:
    """Make a reply that calls these tools."""
    made = tuple(ToolCall(f"call-{i}", name, arguments) for i, (name, arguments) in enumerate(named))
    return Reply("assistant", "", tool_calls=made, finish="tool_calls", model="test:m")


SEARCH = ("search_documents", {"query": "harbour"})
FETCH = ("web_fetch", {"url": PAGE.source})


def engine(replies: Iterable[Reply | str], **options: Any) -> tuple[WorkflowTest, ScriptedModel]:
    model = ScriptedModel(list(replies))
    tools = ("search_documents", "web_fetch", "wait")
    agent = AgentConfig("tester", 1, "Be brief.", "test:m", tools, options)
    scripted = ScriptedTools(search_documents=search_documents, web_fetch=web_fetch)
    return WorkflowTest(model=model, tools=scripted, agent=agent), model


def test_thinks_searches_and_answers_with_numbered_citations() -> None:
    test, model = engine([calls(SEARCH, FETCH), "Noon [2], opening at seven [1], noon [2]. See `a[1]`, [9]."])
    run = test.run(react, "When?")
    assert run.status == "succeeded", run.error
    assert run.output["text"] == "Noon [1], opening at seven [2], noon [1]. See `a[1]`, [9]."
    assert run.output["citations"] == [
        {**PAGE.to_json(), "step": "gather#0/1/tool:web_fetch#0"},
        {**HARBOUR.to_json(), "step": "gather#0/0/tool:search_documents#0"},
    ]
    assert {step.label for step in run.steps.values() if step.kind == "think"} == {"think", "analyze"}
    assert "progress" in run.events
    first, second = model.requests
    assert first.messages[0].role == "system"
    assert "Be brief." in first.messages[0].text
    assert "Today is " in first.messages[0].text
    assert first.messages[1].text == "When?"
    assert "[1] Harbour (document:7 0-48)" in second.messages[3].text
    assert "[2] Tides (https://example.org/tide)" in second.messages[4].text


def test_an_address_in_the_answer_is_a_citation() -> None:
    test, _ = engine([calls(FETCH), f"Noon, says {PAGE.source}. Or [here]({PAGE.source})."])
    run = test.run(react, {"goal": "When?"})
    assert run.output["text"] == f"Noon, says {PAGE.source} [1]. Or [here]({PAGE.source})."
    assert [citation["source"] for citation in run.output["citations"]] == [PAGE.source]


def test_a_crash_at_any_commit_changes_nothing() -> None:
    replies: list[Reply | str] = [calls(SEARCH, FETCH), calls(("wait", {"seconds": 30})), "Seven [1]."]
    outputs = []
    for crash_after in range(1, 8):
        test, _ = engine(replies * 2)
        run = test.run(react, "When?", crash_after=crash_after)
        assert run.status == "succeeded", (crash_after, run.error)
        outputs.append(run.output)
    assert outputs == [outputs[0]] * len(outputs)


def test_a_pause_is_the_runs_own() -> None:
    test, model = engine([calls(("wait", {"seconds": 7200})), "done"])
    began = test.clock.now()
    run = test.run(react, "Wait two hours.")
    assert run.status == "succeeded", run.error
    assert (test.clock.now() - began).total_seconds() >= 7200
    assert any(step.kind == "sleep" for step in run.steps.values())
    assert model.requests[1].messages[-1].text == "Waited 2 hours."


@pytest.mark.parametrize("seconds", [None, "soon", -1, 1e12, True])
def test_an_impossible_pause_is_told_to_the_model(seconds: Any) -> None:
    test, model = engine([calls(("wait", {"seconds": seconds})), "done"])
    assert test.run(react, "Wait.").status == "succeeded"
    assert "pause" in model.requests[1].messages[-1].text


@pytest.mark.fault(48)
def test_tools_that_the_agent_does_not_have_are_not_called() -> None:
    test, model = engine([calls(("delete_all", {})), "done"])
    run = test.run(react, "Go.")
    assert run.output["text"] == "done"
    assert not [key for key in run.steps if "tool:" in key]
    assert "There is no tool named 'delete_all'" in model.requests[1].messages[-1].text


@pytest.mark.fault(48)
def test_a_tool_called_wrongly_again_and_again_ends_the_run() -> None:
    wrong = calls(("web_fetch", {"adress": "x"}), ("web_fetch", {}))
    test, model = engine([wrong, wrong, wrong, "never asked"])
    run = test.run(react, "Go.")
    assert (run.status, run.error["type"]) == ("failed", "TooManyWrongCalls")
    assert (
        run.error["message"] == "The model called web_fetch wrongly 3 times in a row. The last time: url: is required."
    )
    # Until then it was told each time what is wrong.
    assert [message.text for message in model.requests[-1].messages[-2:]] == ["url: is required."] * 2
    assert len(model.requests) == 3


@pytest.mark.fault(48)
def test_a_right_call_in_between_makes_up_for_wrong_ones() -> None:
    wrong, unknown = calls(("web_fetch", {})), calls(("delete_all", {}))
    test, _ = engine([wrong, unknown, calls(FETCH), wrong, calls(("web_fetch", {}), FETCH), wrong, "Noon."])
    assert test.run(react, "Go.").output["text"] == "Noon."
    test, _ = engine([unknown, calls(FETCH), unknown, "never asked"], max_wrong_calls=2)
    run = test.run(react, "Go.")
    assert run.error["type"] == "TooManyWrongCalls"
    assert "delete_all wrongly 2 times in a row" in run.error["message"]


def test_after_the_last_round_it_answers_without_tools() -> None:
    test, model = engine([calls(SEARCH), calls(SEARCH), "What I have."], max_rounds=2)
    run = test.run(react, "When?")
    assert run.output["text"] == "What I have."
    assert model.requests[-1].tools == ()
    assert "Answer now" in model.requests[-1].messages[-1].text


def test_a_model_that_never_answers_fails_with_a_clear_reason() -> None:
    test, _ = engine([calls(SEARCH)] * 3, max_rounds=2)
    run = test.run(react, "When?")
    assert run.status == "failed"
    assert run.error["type"] == "TooManyRounds"
    assert "after 2 rounds" in run.error["message"]


@pytest.mark.fault(39)
def test_instructions_and_goals_are_no_templates() -> None:
    payload = "{{7*7}} {% debug %} {0.__class__} %(key)s ${HOME} {goal}"
    model = ScriptedModel(["Done."])
    test = WorkflowTest(model=model, agent=AgentConfig("tester", 1, payload, "test:m"))
    assert test.run(react, payload).status == "succeeded"
    told = model.requests[0].messages
    assert told[0].text.startswith(payload)
    assert told[1].text == payload


def test_instructions_have_places_for_the_input() -> None:
    schema = {"type": "object", "properties": {"topic": {"type": "string"}, "depth": {"type": "integer"}}}
    model = ScriptedModel(["Done."])
    agent = AgentConfig("tester", 1, "About {{ topic }}, {{ depth }} deep.", "test:m", input_schema=schema)
    # What a value holds is a text, whatever it looks like.
    assert WorkflowTest(model=model, agent=agent).run(react, {"topic": "{{ depth }}", "depth": 3}).status == "succeeded"
    told = model.requests[0].messages
    assert told[0].text.startswith("About {{ depth }}, 3 deep.")
    assert told[1].text == "topic: {{ depth }}\ndepth: 3"


@pytest.mark.parametrize("given", [None, "", "  ", {}, {"goal": ""}, {"goal": 5}, ["x"]])
def test_needs_a_goal(given: Any) -> None:
    test, _ = engine([])
    run = test.run(react, given)
    assert run.status == "failed"
    assert run.error["type"] == "NeedsGoal"


def test_an_answer_cut_at_the_limit_says_so() -> None:
    test, _ = engine([Reply("assistant", "Half", finish="length", model="test:m")])
    assert "limit of output was reached" in test.run(react, "Why?").output["text"]


def test_offline_runs_without_an_agent_and_cites_the_step() -> None:
    test = WorkflowTest(model=ModelAccess(), tools=ScriptedTools(search_documents=search_documents))
    run = test.run(react, "When does the harbour open?")
    assert run.status == "succeeded", run.error
    (citation,) = run.output["citations"]
    assert citation["quote"] == "The harbour opens at seven."
    assert citation["step"].endswith("tool:search_documents#0")


def test_a_question_to_a_person_is_the_runs_own() -> None:
    asking = calls(
        ("ask_person", {"question": "Which harbour?", "choices": ["north", "south"]}),
        ("ask_person", {"question": ""}),
        ("ask_person", {"question": "Why?"}),
    )
    test = WorkflowTest(
        model=ScriptedModel([asking, "Done."]), agent=AgentConfig("tester", 1, "", "test:m", ("ask_person",))
    )
    run = test.run(react, "Ask.")
    assert run.status == "waiting"
    id = run.memory.row.id
    assert {key: decode(asked.form) for key, asked in run.memory.approvals.items()} == {
        "gather#0/0/ask#0": {"enum": ["north", "south"]},
        "gather#0/2/ask#0": {"type": "string", "minLength": 1},
    }
    test.decide(id, "gather#0/0/ask#0", "answered", value="south")
    test.decide(id, "gather#0/2/ask#0", "rejected", comment="Not now.")
    run = test.resume(id)
    assert run.output["text"] == "Done."
    model = test.ports.model
    assert isinstance(model, ScriptedModel)
    told = [message.text for message in model.requests[-1].messages[3:]]
    assert told[0] == "south"
    assert told[1].startswith("The arguments of ask_person are not right.")
    assert told[2] == "Rejected: A person refused the answer; nothing was done. Their comment: Not now."


SCHEMA = {
    "type": "object",
    "required": ["opens", "hours"],
    "properties": {"opens": {"type": "string"}, "hours": {"type": "array", "items": {"type": "integer"}}},
    "additionalProperties": False,
}


def test_an_answer_in_the_schemas_form_is_the_value_and_its_marks_are_citations() -> None:
    test, model = engine_with_schema([calls(SEARCH, FETCH), '{"opens": "at seven [2], [9]", "hours": [2, 1]}'])
    run = test.run(react, "When?")
    assert run.status == "succeeded", run.error
    assert run.output["value"] == {"opens": "at seven [1], [9]", "hours": [2, 1]}
    assert json.loads(run.output["text"]) == run.output["value"]
    assert [citation["source"] for citation in run.output["citations"]] == [PAGE.source]
    assert all(request.output == SCHEMA for request in model.requests)


def test_an_answer_that_does_not_fit_is_handed_back_and_a_repair_is_the_answer() -> None:
    replies = ['{"opens": 7, "hours": []}', '{"opens": "at seven", "hours": ["7"]}', '{"opens": "at 7", "hours": [7]}']
    test, model = engine_with_schema(replies)
    run = test.run(react, "When?")
    assert run.output["value"] == {"opens": "at 7", "hours": [7]}
    assert "opens: 7 is not of type 'string'" in model.requests[1].messages[-1].text
    assert "hours/0" in model.requests[2].messages[-1].text
    assert [step.label for step in run.steps.values()] == ["think", "repair", "repair"]


def test_an_answer_that_never_fits_fails_the_run_by_its_type() -> None:
    test, model = engine_with_schema(["seven", "at seven", "never asked"], repairs=1)
    run = test.run(react, "When?")
    assert (run.status, run.error["type"]) == ("failed", "OutputInvalid")
    assert "is not JSON" in run.error["message"]
    assert len(model.requests) == 2


def engine_with_schema(replies: Iterable[Reply | str], **options: Any) -> tuple[WorkflowTest, ScriptedModel]:
    test, model = engine(replies, **options)
    assert test.agent is not None
    test.agent = replace(test.agent, output_schema=SCHEMA)
    return test, model


def test_offline_puts_its_words_where_a_form_has_one_place_for_them() -> None:
    form = {"type": "object", "required": ["answer"], "properties": {"answer": {"type": "string"}}}
    agent = AgentConfig("tester", 1, "", "offline", ("search_documents",), output_schema=form)
    scripted = ScriptedTools(search_documents=search_documents)
    run = WorkflowTest(model=ModelAccess(), tools=scripted, agent=agent).run(react, "When does the harbour open?")
    assert run.status == "succeeded", run.error
    assert "The harbour opens at seven." in run.output["value"]["answer"]
    assert run.output["citations"][0]["source"] == HARBOUR.source


def test_offline_fails_by_the_form_where_its_words_have_no_place() -> None:
    fields = {"answer": {"type": "string"}, "pages": {"type": "integer"}}
    form = {"type": "object", "required": ["answer", "pages"], "properties": fields}
    agent = AgentConfig("tester", 1, "", "offline", ("search_documents",), output_schema=form)
    scripted = ScriptedTools(search_documents=search_documents)
    run = WorkflowTest(model=ModelAccess(), tools=scripted, agent=agent).run(react, "When does the harbour open?")
    assert (run.status, run.error["type"]) == ("failed", "OutputInvalid")
    assert [step.label for step in run.steps.values() if step.kind == "think"] == [
        "think",
        "analyze",
        "repair",
        "repair",
    ]
