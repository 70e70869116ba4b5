"""Agents: the ones that every workspace starts with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction

from agents.engine.canonical import JSON
from agents.models import Agent, AgentVersion, User, Workspace


@dataclass(frozen=True, slots=True)
class StartingAgent:
    """An agent as a new workspace gets it."""

    name: str
    description: str
    instructions: str
    tools: tuple[str, ...]
    workflow: str = "react"
    sub_agents: tuple[str, ...] = ()
    options: Mapping[str, JSON] = field(default_factory=dict)
    input_schema: Mapping[str, JSON] | None = None


STARTING_AGENTS = (
    StartingAgent(
        name="researcher",
        description="Answers questions from the workspace's documents and from pages you name, with citations.",
        instructions=(
            "You are a careful researcher. Split the goal into its questions. Search the workspace's documents for "
            "each of them, in several wordings if the first finds little, and read the web pages that the goal names. "
            "Answer every question in a few sentences, the answer first, and cite the source of each statement. Say "
            "which questions the sources leave open, and where sources contradict each other."
        ),
        tools=("search_documents", "web_fetch", "calculate"),
    ),
    StartingAgent(
        name="scraper",
        description="Reads the web pages you name and gives what you ask of them.",
        instructions=(
            "You read web pages. Fetch each address that the goal names, and no others unless the goal asks you to "
            "follow links; read many pages by one call of web_crawl. Give exactly what was asked from the pages' text: "
            "figures and names as they stand there, lists as lists, each with the page it comes from. Say so if a page "
            "could not be read or lacks the answer."
        ),
        tools=("web_fetch", "web_scrape", "web_crawl"),
    ),
    StartingAgent(
        name="tool-agent",
        description="Works with tools: calculates, waits, looks things up.",
        instructions=(
            "You get things done with tools. Work out which tools the goal needs and in which order, call them with "
            "exact arguments, and check each result before you go on. Never do arithmetic in your head: calculate. "
            "At the end say briefly what was done and what came out."
        ),
        tools=("calculate", "wait", "search_documents", "web_fetch"),
    ),
    StartingAgent(
        name="planner",
        description="Splits a goal into tasks for a team.",
        instructions=(
            "You plan. Find out what the goal asks, one question after the other, and give each to the agent that is "
            "best placed to answer it. Questions that can be answered apart from each other are tasks apart, so that "
            "they are worked on at the same time."
        ),
        tools=(),
    ),
    StartingAgent(
        name="writer",
        description="Writes one answer of what others have found, with citations.",
        instructions=(
            "You write clear, short answers: the answer first, then what supports it. You take over nothing that has "
            "no source, or say that it has none."
        ),
        tools=(),
    ),
    StartingAgent(
        name="reviewer",
        description="Checks a draft against the goal and its sources.",
        instructions=(
            "You are a strict and fair reviewer. You check each sentence of a draft against the source that it cites, "
            "and the draft as a whole against what was asked."
        ),
        tools=(),
    ),
    StartingAgent(
        name="research-team",
        description="A team: plans, researches in parallel, writes, and reviews before it answers.",
        instructions="You lead a small team that answers questions thoroughly.",
        # A run never has more tools than the run above it: what its members use, the team has.
        tools=("search_documents", "web_fetch", "web_scrape", "web_crawl", "calculate", "wait"),
        workflow="team",
        sub_agents=("planner", "researcher", "scraper", "tool-agent", "writer", "reviewer"),
        options={"reflect": 2},
    ),
    StartingAgent(
        name="question-sheet",
        description="A pipeline: has a researcher answer each of your questions, and puts the answers on one sheet.",
        instructions="",
        tools=("search_documents", "web_fetch", "calculate"),
        workflow="pipeline",
        sub_agents=("researcher",),
        input_schema={
            "type": "object",
            "required": ["title", "questions"],
            "properties": {
                "title": {"type": "string", "title": "Title", "minLength": 1},
                "questions": {
                    "type": "array",
                    "title": "Questions",
                    "items": {"type": "string", "minLength": 1},
                    "minItems": 1,
                    "maxItems": 50,
                },
            },
            "additionalProperties": False,
        },
        options={
            "stages": [
                {
                    "name": "answer",
                    "agent": "researcher",
                    "map": "input.questions",
                    "input": "{{ item }}",
                    "on_failure": "leave_out",
                },
                {"name": "sheet", "join": "# {{ input.title }}\n\n{{ stages.answer.text }}"},
            ]
        },
    ),
)


def ensure_starting_agents(workspace: Workspace, *, by: User | None = None) -> list[Agent]:
    """Give the workspace's starting agents, made where they are missing; those that are there stay as they are."""
    return [_ensure(workspace, starting, by) for starting in STARTING_AGENTS]


@transaction.atomic
def _ensure(workspace: Workspace, starting: StartingAgent, by: User | None) -> Agent:
    agent, _ = Agent.objects.get_or_create(
        workspace=workspace, name=starting.name, defaults={"description": starting.description}
    )
    if agent.current_id is None:
        agent.current, _ = AgentVersion.objects.get_or_create(
            agent=agent,
            number=1,
            defaults={
                "description": starting.description,
                "workflow": starting.workflow,
                "model": settings.MODEL,
                "instructions": starting.instructions,
                "tools": list(starting.tools),
                "sub_agents": list(starting.sub_agents),
                "options": dict(starting.options),
                "input_schema": starting.input_schema,
                "created_by": by,
            },
        )
        agent.save(update_fields=["current"])
    return agent
