"""Five agents on one goal, each played by a model behind HTTP: what the records of their runs show afterwards."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agents.engine.messages import Citation, ToolResult
from agents.engine.ports import CallInfo
from agents.llm.config import ModelConfig
from agents.llm.port import ModelAccess
from agents.models import Agent, Document, Run, Workspace
from agents.services.documents import add_document
from agents.services.outcomes import outcome_of
from agents.services.runs import start_run
from agents.testing import ScriptedTools
from agents.workflows.planning import TeamPlan
from tests.driving import RunningDriver, steps_of, until
from tests.factories import make_agent
from tests.model_server import KEY, Answer, Call, Entry, ModelServer, Recorded

ROLES = ("planner", "north", "south", "writer", "reviewer")
GOAL = "When do the harbours open?"
TEXTS = {"north": "The north harbour opens at seven.", "south": "The south harbour opens at eight."}
PLAN = {"tasks": [{"id": way, "agent": way, "goal": f"When does the {way} open?", "needs": []} for way in TEXTS]}
DRAFT = "The north opens at seven [1]. The south opens at eight."
POINT = "Cite where it is said when the south opens."
ANSWER = "The north opens at seven [1]. The south opens at eight [2]."


def play(request: Recorded) -> Entry:
    """Answer as the role does that the instructions name."""
    system, *said = request.body["messages"]
    role = next(role for role in ROLES if system["content"].startswith(f"You are the {role}."))
    told = json.dumps(said)
    if role == "planner":
        return Answer(json.dumps(PLAN))
    if role == "writer":
        return Answer(ANSWER if POINT in told else DRAFT)
    if role == "reviewer":
        is_right = ANSWER in told
        return Answer(json.dumps({"ok": is_right, "points": [] if is_right else [POINT]}))
    if said[-1]["role"] == "tool":
        return Answer(f"{TEXTS[role]} [1]")
    # Slow enough for both to be under way at once, if they are let.
    return Answer("", (Call("search_documents", {"query": role}),), first=0.5)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(choose=play) as running:
        yield running


@pytest.fixture
def model(server: ModelServer) -> ModelAccess:
    return ModelAccess(lambda: ModelConfig(api_key=KEY, base_url=server.url))


@pytest.fixture
def tools(workspace: Workspace) -> ScriptedTools:
    """A search that finds the document of that name."""
    documents = {
        way: add_document(workspace=workspace, title=way, text=text, media_type="text/plain", by=None)
        for way, text in TEXTS.items()
    }

    async def search_documents(arguments: Any, info: CallInfo) -> ToolResult:
        found = documents[arguments["query"]]
        cited = Citation(f"document:{found.pk}", found.title, found.text)
        return ToolResult("tool", found.text, name="search_documents", citations=(cited,))

    return ScriptedTools(search_documents=search_documents)


@pytest.fixture
def crew(workspace: Workspace) -> Agent:
    searching = ["search_documents"]
    for role in ROLES:
        tools = searching if role in TEXTS else []
        make_agent(workspace, role, model="test:m", instructions=f"You are the {role}.", tools=tools)
    options = {"reflect": 2}
    return make_agent(
        workspace, "crew", workflow="team", model="test:m", sub_agents=list(ROLES), options=options, tools=searching
    )


def test_a_team_plans_searches_at_once_is_sent_back_and_cites(
    workspace: Workspace, crew: Agent, start_driver: Callable[..., RunningDriver]
) -> None:
    queued = start_run(workspace=workspace, agent=crew, input={"goal": GOAL})
    start_driver()
    run = until(queued.pk)
    assert run.status == "succeeded", run.error
    below = {str(one.pk): one for one in Run.objects.filter(parent=run).select_related("agent_version__agent")}
    names = {id: one.agent_version.agent.name for id, one in below.items() if one.agent_version is not None}
    assert Counter(names.values()) == {"planner": 1, "north": 1, "south": 1, "writer": 2, "reviewer": 2}
    steps = steps_of(run.pk)

    # The plan is what the planner was asked for in a form, and the step that called it has it.
    assert TeamPlan.model_validate(outcome_of(steps["call:planner#0"])).model_dump() == PLAN
    (planner,) = (one for id, one in below.items() if names[id] == "planner")
    assert json.loads(outcome_of(steps_of(planner.pk)["think#0"])["text"]) == PLAN

    # The researchers were at work at the same time.
    times = [(one.started_at, one.finished_at) for id, one in below.items() if names[id] in TEXTS]
    assert max(started for started, _ in times if started) < min(finished for _, finished in times if finished)

    # The reviewer sent the draft back with a point, and let the second pass.
    verdicts = [outcome_of(steps[f"call:reviewer#{n}"]) for n in range(2)]
    assert verdicts == [{"ok": False, "points": [POINT]}, {"ok": True, "points": []}]
    for reviewer in (one for id, one in below.items() if names[id] == "reviewer"):
        assert steps_of(reviewer.pk)["think#0"].label == "reflect"
    assert [outcome_of(steps[f"call:writer#{n}"])["text"] for n in range(2)] == [DRAFT, ANSWER]

    # Each citation resolves: to what stands in the document, and to the step that found it.
    assert run.output["text"] == ANSWER
    assert len(run.output["citations"]) == 2
    for citation in run.output["citations"]:
        document = Document.objects.get(pk=int(citation["source"].partition(":")[2]))
        assert citation["quote"] == document.text
        assert names[citation["run"]] == document.title
        found = steps_of(below[citation["run"]].pk)[citation["step"]]
        assert (found.kind, found.name) == ("tool", "search_documents")
        assert outcome_of(found)["text"] == document.text
