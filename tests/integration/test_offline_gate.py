"""The offline model on goals and documents that it was not written with: what it quotes stands where it says.

Each goal was written before it was run, and stays as it was written, whether or not it found its answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from django.db import connections

from agents.engine.ports import AgentConfig
from agents.llm.port import ModelAccess
from agents.models import Document, Workspace
from agents.services.agents import STARTING_AGENTS
from agents.services.documents import add_document, find_passages
from agents.testing import TestRun, WorkflowTest
from agents.workflows.react import react
from agents.workflows.toolport import RegistryToolPort
from tests.integration.offline_gate_documents import DOCUMENTS
from tools.types import FoundPassage

pytestmark = pytest.mark.django_db(transaction=True)

MOST_QUOTED = 1500
"""Characters. The documents have ten times as many: who quotes everything finds every fact, and answers nothing."""

QUOTED_SPAN = re.compile(r"[\"“]([^\"“”]+)[\"”]\s*\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal as a user writes it, and what has to stand in the quotes that answer it."""

    text: str
    facts: tuple[str, ...]
    computed: str = ""


GOALS = (
    Goal("Who may go into the lamp room of the lighthouse?", ("only the two keepers and the district engineer",)),
    Goal("When does the last ferry of a Sunday leave the island?", ("20.10",)),
    Goal("What do I have to pay to get a bent bicycle wheel straightened?", ("Buckled wheel trued: 22 euros",)),
    Goal("Why did the river rise so fast in January?", ("the ground was frozen",)),
    Goal("Which of the bakery's products contain milk?", ("Butter buns hold gluten, milk and egg",)),
    Goal(
        "I travel with my dog. Can it come along on the ferry and into the museum?",
        ("Dogs are kept on a lead on board", "Dogs have to wait outside"),
    ),
    Goal("How high did the Aldra get, and how many houses were under water?", ("5.82 metres", "64 houses")),
    Goal(
        "How much is a return ticket for the ferry, and what would 4 * 14 euros come to?",
        ("a return ticket 14 euros",),
        computed="56",
    ),
    Goal("How should I get rid of dirt on the telescope's mirror?", ("rubber bellows",)),
    Goal(
        "What will replace the old gas boiler in our housing cooperative, and how much must each flat contribute?",
        ("a heat pump", "1,150 euros"),
    ),
    Goal("Tell me by which date I must cancel the lease of my allotment plot.", ("31 August",)),
    Goal("What has a beekeeper to do against mites in winter?", ("oxalic acid in December",)),
)

# Written after the model had been improved on those above, and before any of these was run.
LATER_GOALS = (
    Goal("What temperature does the oven have when the rye loaf goes in?", ("250 degrees",)),
    Goal("Where do visitors leave large bags?", ("in the lockers",)),
    Goal("Who decides whether the ferry sails in a storm?", ("decided by the captain",)),
    Goal("How much food does a bee colony need to get through the winter?", ("15 kilograms",)),
    Goal("Why did the fog signal not sound?", ("a mouse had gnawed",)),
    Goal("At what hours must I not use a loud mower in the allotments?", ("from one to three in the afternoon",)),
    Goal("How long is the guarantee that the bicycle workshop gives on repairs?", ("guarantee of one year",)),
    Goal(
        "By how much shall the embankment be raised, and when will that be finished?",
        ("seventy centimetres", "finished in three years"),
    ),
    Goal("Can I wash my clothes at night in Linden Court?", ("the machines are switched off",)),
    Goal("Which eyepiece should I begin with?", ("Begin with the weaker one",)),
)

KNOWN_MISSES = (
    Goal("How do I tell that a rye loaf is baked through?", ("sounds hollow when knocked",)),
    Goal("Why are the stars not sharp when I have just carried the telescope out of the house?", ("warm air swirls",)),
)
"""Goals whose documents answer in words that share next to nothing with the question; rules do not see it."""

UNANSWERABLE = (
    "How many visitors came to the Museum of Clocks last year?",
    "Which company made the lens of Skarnholm Light?",
    "What does a jar of honey cost?",
    "How many passengers fit on the ferry?",
    "When was the Linden Court housing cooperative founded?",
)


@pytest.fixture
def workspace() -> Workspace:
    """A workspace with all the documents, each goal's needle in the same haystack."""
    workspace = Workspace.objects.create(slug="everyday", name="Everyday")
    for title, text in DOCUMENTS.items():
        add_document(workspace=workspace, title=title, text=text, by=None)
    return workspace


@pytest.fixture
def tools(workspace: Workspace) -> RegistryToolPort:
    """The product's tools over the real search, which runs on threads with connections of their own."""

    def search(_: int, query: str, limit: int) -> Sequence[FoundPassage]:
        # An engine in memory knows one workspace, number 1.
        try:
            return find_passages(workspace.pk, query, limit)
        finally:
            connections.close_all()

    return RegistryToolPort(search=search)


def run(goal: str, tools: RegistryToolPort) -> TestRun:
    """Let the starting agent "researcher" answer the goal without a language model."""
    researcher = next(agent for agent in STARTING_AGENTS if agent.name == "researcher")
    agent = AgentConfig(researcher.name, 1, researcher.instructions, "offline", researcher.tools)
    return WorkflowTest(model=ModelAccess(), tools=tools, agent=agent).run(react, goal)


def check_verbatim(ended: TestRun) -> list[str]:
    """Check that all that is quoted stands verbatim in the source it names; give the quotes on one line each."""
    assert ended.status == "succeeded", ended.error
    text, citations = ended.output["text"], ended.output["citations"]
    stored = {f"document:{document.pk}": document.text for document in Document.objects.all()}
    for citation in citations:
        assert citation["quote"] in stored[citation["source"]]
        assert ended.steps[citation["step"]].name == "search_documents"
    for span, number in QUOTED_SPAN.findall(text):
        assert span in stored[citations[int(number) - 1]["source"]]
    quotes = [" ".join(citation["quote"].split()) for citation in citations]
    assert sum(map(len, quotes)) <= MOST_QUOTED
    return quotes


@pytest.mark.parametrize("goal", [*GOALS, *LATER_GOALS], ids=lambda goal: goal.text)
def test_the_answer_quotes_the_fact(tools: RegistryToolPort, goal: Goal) -> None:
    ended = run(goal.text, tools)
    quotes = check_verbatim(ended)
    text = ended.output["text"]
    assert QUOTED_SPAN.search(text)
    for fact in goal.facts:
        assert any(fact in quote for quote in quotes), text
    assert goal.computed in text


@pytest.mark.parametrize("goal", KNOWN_MISSES, ids=lambda goal: goal.text)
def test_where_the_fact_is_missed_quotes_are_verbatim_all_the_same(tools: RegistryToolPort, goal: Goal) -> None:
    ended = run(goal.text, tools)
    if not check_verbatim(ended):
        assert "found nothing" in ended.output["text"]


@pytest.mark.parametrize("goal", UNANSWERABLE)
def test_what_no_document_answers_is_said_to_be_unknown(tools: RegistryToolPort, goal: str) -> None:
    ended = run(goal, tools)
    check_verbatim(ended)
    assert "found nothing" in ended.output["text"]
    assert ended.output["citations"] == []
