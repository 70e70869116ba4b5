"""The starting team, which needs no key: planner, researchers, writer and reviewer, each played by rules."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import connections

from agents.engine.canonical import decode
from agents.engine.messages import Citation, ToolResult
from agents.engine.ports import AgentConfig, CallInfo
from agents.llm import ModelAccess
from agents.models import Document, Workspace
from agents.services.agents import STARTING_AGENTS, StartingAgent
from agents.services.documents import find_passages
from agents.services.samples import TEAM_GOALS, load_samples
from agents.testing import ScriptedTools, TestAgent, TestRun, WorkflowTest
from agents.workflows.pipeline import pipeline
from agents.workflows.team import team
from tools.builtin import functions  # noqa: F401 (registers the tools)
from tools.types import FoundPassage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tools() -> ScriptedTools:
    """The real search over the sample documents, and a calculator."""
    workspace = Workspace.objects.create(name="Samples", slug="samples")
    load_samples(workspace)

    def find(query: str) -> list[FoundPassage]:
        try:
            return find_passages(workspace.pk, query, 6)
        finally:
            connections.close_all()

    async def search_documents(arguments: Any, info: CallInfo) -> ToolResult:
        found = await asyncio.to_thread(find, arguments["query"])
        cited = tuple(Citation(p.source, p.title, p.text, f"{p.start}-{p.end}") for p in found)
        return ToolResult("tool", f"{len(found)} passages", name="search_documents", citations=cited)

    async def calculate(arguments: Any, info: CallInfo) -> str:
        assert arguments["expression"] == "7 * 86400"
        return "7 * 86400 = 604800"

    return ScriptedTools(search_documents=search_documents, calculate=calculate)


def config(starting: StartingAgent) -> AgentConfig:
    return AgentConfig(
        starting.name,
        1,
        starting.instructions,
        "offline",
        starting.tools,
        starting.options,
        sub_agents=starting.sub_agents,
    )


def start(tools: ScriptedTools, goal: str) -> tuple[TestRun, dict[str, TestRun]]:
    known = {one.name: one for one in STARTING_AGENTS}
    agents = [TestAgent(config(one), one.workflow, one.description) for one in STARTING_AGENTS]
    test = WorkflowTest(model=ModelAccess(), tools=tools, agent=config(known["research-team"]), agents=agents)
    run = test.run(team, goal)
    assert run.status == "succeeded", run.error
    return run, {str(child.memory.row.id): child for child in test.below(run.memory.row.id).values()}


def progress(run: TestRun, name: str) -> list[Any]:
    told = [decode(event.data) for _, event in run.memory.events if event.kind == "progress"]
    return [event["data"] for event in told if event["name"] == name]


@pytest.mark.parametrize("goal", TEAM_GOALS)
def test_the_sample_goal_is_planned_researched_reviewed_and_answered(tools: ScriptedTools, goal: str) -> None:
    run, below = start(tools, goal)
    # The plan: a task for each question and each sum, each for the agent that it fits.
    (plan,) = progress(run, "plan")
    assert len(plan["tasks"]) == 4
    assert {task["agent"] for task in plan["tasks"]} == {"researcher", "tool-agent"}
    assert [one["state"] for one in progress(run, "task")][:4] == ["started"] * 4
    # The first draft has a sentence without a source, is sent back, and the second says so.
    first, second = progress(run, "review")
    assert first["points"] == ["No source is cited for: “`7 * 86400 = 604800`”"]
    assert (first["ok"], second["ok"]) == (False, True)
    assert "**Without a source**\n\n`7 * 86400 = 604800`" in run.output["text"]
    # Each citation resolves: to a passage that stands verbatim in its document, and to the step that found it.
    texts = {f"document:{document.pk}": document.text for document in Document.objects.all()}
    assert len({citation["source"] for citation in run.output["citations"]}) >= 3
    for number, citation in enumerate(run.output["citations"], 1):
        assert citation["quote"] in texts[citation["source"]]
        assert below[citation["run"]].steps[citation["step"]].name == "search_documents"
        assert f"[{number}]" in run.output["text"]


def test_what_nobody_finds_is_said_to_be_open(tools: ScriptedTools) -> None:
    run, _ = start(tools, "Why is a fencing token needed? How many passengers fit on the ferry?")
    assert "I found nothing" in run.output["text"]
    assert [one["ok"] for one in progress(run, "review")] == [True]


def test_the_sample_pipeline_answers_each_question_with_its_sources(tools: ScriptedTools) -> None:
    known = {one.name: one for one in STARTING_AGENTS}
    agents = [TestAgent(config(known["researcher"]), "react", "Searches.")]
    test = WorkflowTest(model=ModelAccess(), tools=tools, agent=config(known["question-sheet"]), agents=agents)
    questions = ["What is a lease?", "What does a fencing token do?"]
    run = test.run(pipeline, {"title": "Leases", "questions": questions})
    assert run.status == "succeeded", run.error
    text = run.output["text"]
    assert text.startswith("# Leases\n\n**What is a lease?**")
    assert "**What does a fencing token do?**" in text
    assert run.output["citations"]
    assert all(f"[{number}]" in text for number in range(1, len(run.output["citations"]) + 1))
    below = {str(child.memory.row.id): child for child in test.below(run.memory.row.id).values()}
    for citation in run.output["citations"]:
        assert citation["quote"] in text
        assert citation["step"] in below[citation["run"]].steps
