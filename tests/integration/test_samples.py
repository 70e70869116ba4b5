"""What a new workspace starts with: agents, sample documents, and goals that these answer."""

from __future__ import annotations

import asyncio
import re

import pytest
from django.db import connections

from agents.engine.messages import Citation, ToolResult
from agents.engine.ports import AgentConfig, CallInfo
from agents.llm import ModelAccess
from agents.models import Agent, Document, Workspace
from agents.services.agents import STARTING_AGENTS, ensure_starting_agents
from agents.services.documents import add_document, find_passages
from agents.services.samples import SAMPLE_GOALS, load_samples
from agents.testing import ScriptedTools, TestRun, WorkflowTest
from agents.workflows.react import react
from tests.unit.llm.offline_corpus import DOCUMENTS, GOALS
from tests.unit.llm.offline_corpus_indirect import INDIRECT_DOCUMENTS, INDIRECT_GOALS
from tests.unit.llm.offline_corpus_more import MORE_DOCUMENTS, MORE_GOALS, PLAIN_DOCUMENTS, PLAIN_GOALS
from tools.types import FoundPassage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def workspace() -> Workspace:
    return Workspace.objects.create(name="Samples", slug="samples")


def test_agents_are_made_once(workspace: Workspace) -> None:
    ensure_starting_agents(workspace)
    changed = Agent.objects.get(workspace=workspace, name="researcher")
    changed.description = "Ours"
    changed.save()
    agents = ensure_starting_agents(workspace)
    assert [agent.name for agent in agents] == [starting.name for starting in STARTING_AGENTS]
    assert Agent.objects.filter(workspace=workspace).count() == len(STARTING_AGENTS)
    for agent in agents:
        version = agent.current
        assert version is not None
        assert (version.number, version.model) == (1, "offline")
        workflows = {"research-team": "team", "question-sheet": "pipeline"}
        assert version.workflow == workflows.get(agent.name, "react")
    changed.refresh_from_db()
    assert changed.description == "Ours"


def test_samples_are_added_once(workspace: Workspace) -> None:
    first = load_samples(workspace)
    assert load_samples(workspace) == first
    assert 6 <= len(first) <= 8
    assert all(document.title and not document.title.startswith("#") for document in first)


@pytest.fixture
def search(workspace: Workspace) -> ScriptedTools:
    """The real search as a tool, on a thread as workers have it."""

    def find(query: str) -> list[FoundPassage]:
        try:
            return find_passages(workspace.pk, query, 6)
        finally:
            connections.close_all()

    async def search_documents(arguments: dict[str, str], info: CallInfo) -> ToolResult:
        found = await asyncio.to_thread(find, arguments["query"])
        cited = tuple(Citation(p.source, p.title, p.text, f"{p.start}-{p.end}") for p in found)
        return ToolResult("tool", f"{len(found)} passages", name="search_documents", citations=cited)

    return ScriptedTools(search_documents=search_documents)


def run(goal: str, search: ScriptedTools) -> TestRun:
    agent = AgentConfig("researcher", 1, "", "offline", ("search_documents",))
    return WorkflowTest(model=ModelAccess(), tools=search, agent=agent).run(react, goal)


def check_quotes(ended: TestRun) -> list[str]:
    """Check that every quote stands verbatim in its source, and give the quotes."""
    assert ended.status == "succeeded", ended.error
    texts = {f"document:{document.pk}": document.text for document in Document.objects.all()}
    citations = ended.output["citations"]
    for citation in citations:
        assert citation["quote"] in texts[citation["source"]]
        assert citation["step"] in ended.steps
    numbers = {int(number) for number in re.findall(r'" \[(\d+)\]', ended.output["text"])}
    assert numbers == set(range(1, len(citations) + 1))
    return [" ".join(citation["quote"].split()) for citation in citations]


@pytest.mark.parametrize("goal", SAMPLE_GOALS)
def test_sample_goals_are_answered_without_a_network(workspace: Workspace, search: ScriptedTools, goal: str) -> None:
    load_samples(workspace)
    ended = run(goal, search)
    assert "I found nothing" not in ended.output["text"]
    assert len(check_quotes(ended)) >= 2


@pytest.mark.parametrize(
    ("documents", "goals"),
    [
        (DOCUMENTS, GOALS),
        (PLAIN_DOCUMENTS, PLAIN_GOALS),
        (MORE_DOCUMENTS, MORE_GOALS),
        (INDIRECT_DOCUMENTS, INDIRECT_GOALS),
    ],
    ids=["marked up", "plain", "more", "indirect"],
)
def test_goals_over_the_real_search(
    workspace: Workspace,
    search: ScriptedTools,
    documents: dict[str, str],
    goals: list[tuple[str, tuple[str, ...] | None]],
) -> None:
    for title, text in documents.items():
        add_document(workspace=workspace, title=title, text=text, by=None)
    wrong: list[tuple[str, list[str]]] = []
    for goal, expected in goals:
        ended = run(goal, search)
        quotes = check_quotes(ended)
        found = " ".join(quotes)
        if expected is None and (quotes or "I found nothing in" not in ended.output["text"]):
            wrong.append((goal, quotes))
        if expected is not None and not all(words in found for words in expected):
            wrong.append((goal, quotes))
    assert not wrong
