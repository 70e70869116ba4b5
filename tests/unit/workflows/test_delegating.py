"""Delegating to sub-agents, which are tools of their parent, on an in-memory journal."""

from __future__ import annotations

from typing import Any

import pytest

from agents.engine.messages import Citation, Reply, ToolResult
from agents.engine.ports import AgentConfig, CallInfo, ModelRequest, SubAgent, ToolSpec
from agents.testing import ScriptedTools, TestAgent, TestRun, WorkflowTest
from agents.workflows.delegating import LONGEST_NAME, as_tools
from agents.workflows.react import react
from tests.roles import Roles, calls

HARBOUR = Citation("document:7", "Harbour", "The harbour opens at seven.", "0-27")


async def search_documents(arguments: Any, info: CallInfo) -> ToolResult:
    return ToolResult("tool", HARBOUR.quote, name="search_documents", citations=(HARBOUR,))


def engine(*, chief: list[Reply | str], clerk: list[Reply | str], **clerks: Any) -> tuple[WorkflowTest, Roles]:
    model = Roles({"You lead.": chief, "You search.": clerk})
    lead = AgentConfig("chief", 1, "You lead.", "test:m", ("search_documents",), {}, sub_agents=("clerk-one", "gone"))
    sub = AgentConfig("clerk-one", 1, "You search.", "test:m", ("search_documents",), **clerks)
    tools = ScriptedTools(search_documents=search_documents)
    agents = [TestAgent(sub, description="Looks things up.")]
    return WorkflowTest(model=model, tools=tools, agent=lead, agents=agents), model


def told(request: ModelRequest) -> list[str]:
    return [message.text for message in request.messages if message.role == "tool"]


def below(test: WorkflowTest, run: TestRun) -> dict[str, TestRun]:
    return test.below(run.memory.row.id)


ASK = calls(("delegate_to_clerk_one", {"goal": "When does it open?"}))
FIND = calls(("search_documents", {"query": "harbour"}))


def test_a_sub_agent_is_a_tool_and_its_citations_are_the_parents() -> None:
    test, model = engine(chief=[ASK, "At seven [1]."], clerk=[FIND, "Seven [1]."])
    run = test.run(react, "When?")
    assert run.status == "succeeded", run.error
    spec = model.asked("You lead.")[0].tools[1]
    assert (spec.name, spec.parameters["required"]) == ("delegate_to_clerk_one", ["goal"])
    assert "Looks things up." in spec.description
    ((key, child),) = below(test, run).items()
    assert key == "gather#0/0/call:clerk-one#0"
    assert child.output["text"] == "Seven [1]."
    (citation,) = run.output["citations"]
    assert citation == {
        **HARBOUR.to_json(),
        "run": str(child.memory.row.id),
        "step": citation["step"],
    }
    assert child.steps[citation["step"]].name == "search_documents"
    assert told(model.asked("You lead.")[1]) == ["Seven [1].\n\nCite this as:\n[1] Harbour (document:7 0-27)"]


def test_several_at_once_and_one_that_fails() -> None:
    both = calls(("delegate_to_clerk_one", {"goal": "A"}), ("delegate_to_clerk_one", {"goal": "B"}))
    test, model = engine(chief=[both, "Done."], clerk=["Only one answers."])
    run = test.run(react, "Ask twice.")
    assert run.status == "succeeded", run.error
    assert sorted(child.status for child in below(test, run).values()) == ["failed", "succeeded"]
    assert sorted(told(model.asked("You lead.")[1])) == [
        "Only one answers.",
        "Permanent: The script of this role has no reply left.",
    ]


def test_what_the_sub_agent_does_not_take_is_told_to_the_model() -> None:
    schema = {"type": "object", "properties": {"page": {"type": "integer"}}, "required": ["page"]}
    wrong = calls(("delegate_to_clerk_one", {"goal": "x"}), ("delegate_to_gone", {"goal": "x"}))
    test, model = engine(chief=[wrong, "Well."], clerk=[], input_schema=schema)
    run = test.run(react, "Go.")
    assert run.status == "succeeded", run.error
    assert not below(test, run)
    first, second = told(model.asked("You lead.")[1])
    assert "'page' is a required property" in first
    assert "There is no tool named 'delegate_to_gone'. Tools: search_documents, delegate_to_clerk_one." in second


def test_an_output_with_a_form_comes_back_as_it_is() -> None:
    test, model = engine(chief=[ASK, "Well."], clerk=[])
    test.agents["clerk-one"] = TestAgent(test.agents["clerk-one"].config, workflow="structured")

    async def structured(ctx: Any, input: Any) -> Any:
        return {"opens": 7}

    test._functions["structured"] = structured
    run = test.run(react, "When?")
    assert told(model.asked("You lead.")[1]) == ['{"opens":7}']
    assert run.status == "succeeded"


@pytest.mark.fault(43)
def test_what_a_sub_agent_read_taints_its_parent() -> None:
    test, _ = engine(chief=[ASK, "Well."], clerk=[FIND, "Seven."])
    tools = test.ports.tools
    assert isinstance(tools, ScriptedTools)
    tools.effects["search_documents"] = ToolSpec("search_documents", "", {"type": "object"}, trust="untrusted")
    run = test.run(react, "When?")
    assert run.memory.tainted == ["gather#0/0/call:clerk-one#0"]


def test_a_crash_at_any_commit_changes_nothing() -> None:
    outputs = []
    for crash_after in range(1, 9):
        test, _ = engine(chief=[ASK, "At seven [1]."] * 2, clerk=[FIND, "Seven [1]."] * 2)
        run = test.run(react, "When?", crash_after=crash_after)
        assert run.status == "succeeded", (crash_after, run.error)
        assert len(below(test, run)) == 1
        outputs.append(run.output["text"])
    assert outputs == [outputs[0]] * len(outputs)


def test_tool_names_are_what_every_provider_takes() -> None:
    names = list(as_tools([SubAgent("a-b"), SubAgent("a_b"), SubAgent("x" * 60)]))
    assert len(set(names)) == 3
    assert names[0] == "delegate_to_a_b"
    assert all(len(name) <= LONGEST_NAME and name.replace("_", "").isalnum() for name in names)
