"""kill -9 in the middle of a team's run with twenty sub-runs: nothing recorded is done twice, the answer is the same.

Two seeds in the suite; TEAM_SEEDS=20 runs twenty.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any
from uuid import UUID

import pytest

from tests.instance import Template, running_instance, wait_until
from tests.world import World

SEEDS = range(1, 1 + int(os.environ.get("TEAM_SEEDS", "2")))
TASKS = 20
GOAL = "Calculate " + ", ".join(f"{n} * 7" for n in range(100, 100 + TASKS)) + "."
MAKE_AGENTS = """
from agents.models import Agent, AgentVersion, Workspace

def make(name, workflow, **values):
    agent = Agent.objects.create(workspace=Workspace.objects.get(slug="default"), name=name)
    agent.current = AgentVersion.objects.create(agent=agent, number=1, workflow=workflow, model="offline", **values)
    agent.save()

make("runner", "errand")
stages = [
    {"name": "first", "agent": "runner", "input": "{{ input.goal }}"},
    {"name": "each", "agent": "runner", "map": "input.goals", "width": 12,
     "input": "{{ item }} after {{ stages.first.text }}"},
    {"name": "last", "agent": "runner", "input": "last of {{ stages.each.values }}"},
    {"name": "sheet", "join": ["{{ stages.first.text }}", "{{ stages.each.texts }}", "{{ stages.last.text }}"]},
]
make("line", "pipeline", sub_agents=["runner"], options={"stages": stages})
make("crew", "team", sub_agents=["planner", "runner", "writer", "reviewer"], options={"max_tasks": 30, "width": 20})
"""


@pytest.fixture(scope="module")
def world(instance_template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An instance with a cluster of two worker processes, for all seeds: each kills one of them, and it is reborn."""
    directory = tmp_path_factory.mktemp("team")
    with running_instance(instance_template, directory) as made:
        made.environment["WORKFLOW_MODULES"] = "tests.workflows"
        world = World(made, directory)
        made.manage("shell", "-c", MAKE_AGENTS)
        made.start_web()
        # Few slots, so that both processes have sub-runs.
        world.start_workers(SLOTS="12")
        yield world


@pytest.fixture(scope="module")
def undisturbed(world: World) -> tuple[Any, Counter[str]]:
    """What the team answers when nobody is killed, and the workflows of its sub-runs."""
    run = finished(world, start(world))
    workflows = Counter(below(world, run).values())
    assert workflows["errand"] == TASKS
    assert {"team.plan", "team.write", "team.review"} <= set(workflows)
    return answer_of(world, run), workflows


def start(world: World, agent: str = "crew", **more: Any) -> str:
    answer = world.instance.api.post("runs", json={"agent": agent, "input": {"goal": GOAL, **more}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def finished(world: World, run: str) -> str:
    world.wait_for_the_end()
    ((status, error),) = world.rows("SELECT status, error FROM agents_run WHERE id=?", run)
    assert status == "succeeded", error
    return run


def below(world: World, run: str) -> dict[str, str]:
    """Give the workflows of a run's sub-runs by their ids."""
    rows = world.rows("SELECT id, workflow FROM agents_run WHERE parent_id=?", run)
    return {str(id if isinstance(id, UUID) else UUID(id)): workflow for id, workflow in rows}


def answer_of(world: World, run: str) -> Any:
    """Give the answer without the ids of the sub-runs, which must be this run's."""
    ((output,),) = world.rows("SELECT output FROM agents_run WHERE id=?", run)
    answer = output if isinstance(output, dict) else json.loads(output)
    runs = below(world, run)
    for citation in answer["citations"]:
        assert runs[citation.pop("run")] == "errand"
    for stage in answer.get("stages", ()):
        stage.pop("run", None)
    return answer


@pytest.mark.fault(1)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_worker_changes_nothing_in_a_teams_answer(
    world: World, undisturbed: tuple[Any, Counter[str]], seed: int
) -> None:
    run = start(world)
    kills = kill_some(world, run, Random(seed))
    runs = below(world, run)
    assert (answer_of(world, run), Counter(runs.values())) == undisturbed
    times = Counter(pair for pair in world.done() if pair[0] in runs)
    assert set(times) == {(id, f"link#{n}") for id, workflow in runs.items() if workflow == "errand" for n in range(3)}
    assert max(times.values()) <= 1 + kills
    assert world.events_have_no_gaps()


@pytest.mark.fault(1)
def test_a_killed_worker_changes_nothing_in_a_pipelines_answer(world: World) -> None:
    goals = [f"{n}" for n in range(12)]
    whole = finished(world, start(world, "line", goals=goals))
    assert Counter(below(world, whole).values()) == {"errand": 14}
    run = start(world, "line", goals=goals)
    kill_some(world, run, Random(7))
    assert answer_of(world, run) == answer_of(world, whole)
    assert Counter(below(world, run).values()) == {"errand": 14}


def kill_some(world: World, run: str, random: Random) -> int:
    """Kill one or two workers at the run's sub-runs; see that nothing recorded is done again. Gives how many."""
    wait_until(lambda: len(below(world, run)) > 1, 30.0, "the tasks to begin")
    killed: set[int] = set()
    marks = []
    for _ in range(random.choice((1, 2))):
        time.sleep(random.uniform(0.0, 0.4))
        # Of one that was killed a moment ago the tables may still say that it is at work.
        if not (busy := sorted(set(world.busy_pids()) - killed)):
            break
        killed.add(chosen := random.choice(busy))
        world.instance.kill(chosen)
        # First what is recorded, then how far the log reaches: nothing recorded may be seen after.
        recorded = world.recorded()
        marks.append((recorded, world.effects.stat().st_size))
    finished(world, run)
    assert marks, "nobody was killed"
    for recorded, position in marks:
        assert not recorded & set(world.done(after=position))
    return len(marks)
