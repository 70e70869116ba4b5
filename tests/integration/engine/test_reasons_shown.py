"""Why a run was ended, and what others wait for, in words on the pages that people look at."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.engine.messages import Reply, ToolCall, ToolResult, Usage
from agents.models import Role, Run, Step, Wait
from agents.services.runs import start_run
from tests.driving import until
from tests.factories import make_agent, make_run, make_user

if TYPE_CHECKING:
    from agents.models import Workspace
    from agents.testing import ScriptedModel, ScriptedTools
    from tests.driving import RunningDriver

MINUTE = timedelta(minutes=1)


@pytest.fixture
def client(workspace: Workspace) -> Client:
    made = Client()
    made.force_login(make_user(workspace, Role.VIEWER))
    return made


def _page(client: Client, workspace: Workspace, path: str) -> str:
    response = client.get(f"/w/{workspace.slug}/{path}")
    assert response.status_code == 200
    return unescape(response.content.decode())


async def _look(arguments: Any, info: Any) -> ToolResult:
    return ToolResult("tool", "Under construction.", name="look")


def _asking(number: int, **arguments: Any) -> Reply:
    usage = Usage(1000, 500, cost_microusd=400_000)
    calls = (ToolCall(f"c{number}", "look", arguments),)
    return Reply("assistant", "", tool_calls=calls, finish="tool_calls", model="test:m", usage=usage)


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        ({"steps": 3}, "The 3 steps that this tree of runs may take are used up: 3 were taken."),
        ({"tokens": 4000}, "The 4,000 tokens that this tree of runs may use are used up: 4,500 were used."),
        ({"usd": 1}, "The budget of 1.00 USD of this tree of runs is used up: 1.2000 USD were spent."),
        (
            {"repeats": 2},
            "The model had called look with the same arguments 2 times, was told that this leads nowhere, "
            "and did it again.",
        ),
    ],
)
def test_a_run_that_a_cap_has_ended_says_which_on_its_page(
    workspace: Workspace,
    model: ScriptedModel,
    tools: ScriptedTools,
    driver: RunningDriver,
    client: Client,
    caps: dict[str, Any],
    words: str,
) -> None:
    tools.functions["look"] = _look
    model.most = Usage(1000, 500, cost_microusd=400_000)
    is_same = "repeats" in caps
    model.replies = [_asking(number, where=0 if is_same else number) for number in range(20)]
    agent = make_agent(workspace, "seeker", model="test:m", tools=["look"], caps=caps)
    run = start_run(workspace=workspace, agent=agent, input="Find it.", by=None)
    assert until(run.pk).status == "failed"
    page = _page(client, workspace, f"runs/{run.pk}/")
    head = page.partition('id="run-head"')[2].partition("</header>")[0]
    assert ("Failed" in head, words in head) == (True, True), head[:1500]
    assert words in _page(client, workspace, "runs/")
    if is_same:
        think = Step.objects.filter(run=run, kind="think").order_by("-id")[0]
        given = _page(client, workspace, f"runs/{run.pk}/?step={think.key.replace('#', '%23')}")
        assert "You have made this call with the same arguments 2 times; it was not made again." in given


def test_the_page_of_an_agent_says_what_its_runs_wait_for(workspace: Workspace, client: Client) -> None:
    agent = make_agent(workspace, "seeker", caps={"max_running": 1})
    other = make_agent(workspace, "other")

    def waiting(kind: str, name: str = "", version: Any = agent.current) -> Run:
        run = make_run(workspace, agent_version=version)
        Wait.objects.create(run=run, kind=kind, name=name, due_at=timezone.now() + MINUTE)
        return run

    for _ in range(3):
        waiting("place", f'[{workspace.pk},{agent.pk},1,"","",null]')
    waiting("slot", "llm:openai")
    waiting("person")
    Wait.objects.create(run=waiting("slot", "llm:openai"), kind="slot", name="llm:openai")
    waiting("timer", version=other.current)
    make_run(workspace, agent_version=agent.current, status="queued")
    make_run(workspace, agent_version=agent.current, status="succeeded")
    page = _page(client, workspace, "agents/seeker/").partition('id="work-title"')[2].partition("</section>")[0]
    assert "3 for a place among the running runs, 2 for limit llm:openai, 1 for a person" in page
    assert "timer" not in page
    assert 'status=waiting">6</a>' in page
    assert 'status=queued">1</a>' in page
    assert 'status=running">0</a>' in page
    assert "Cap of this agent" in page
    assert "0 of 1 running, 3 wait" in page
