"""Caps on running runs over real processes: never more than so many, in the queue's order, and no place is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.instance import Template, running_instance, wait_until
from tests.world import World

SETUP = """
from agents.models import Agent, AgentVersion, Workspace

workspace = Workspace.objects.get(slug="default")
workspace.max_running = 3
workspace.save()
caps = {"max_running": 2, "running_key": "line", "max_running_per_key": 1}
for name, sub_agents, caps in (("dock", [], caps), ("convoy", ["dock"], {})):
    agent = Agent.objects.create(workspace=workspace, name=name)
    agent.current = AgentVersion.objects.create(
        agent=agent, number=1, workflow="berth", sub_agents=sub_agents, caps=caps
    )
    agent.save()
"""


class Docks(World):
    """An instance in which two runs of the agent dock may be running, one of each line, and three runs in all."""

    def send(self, agent: str, number: int, *, priority: int = 0, **input: Any) -> str:
        body = {"agent": agent, "input": {"number": number, **input}, "priority": priority}
        answer = self.instance.api.post("runs", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def let_go(self, *numbers: int) -> None:
        """Let ships leave that lie there for no set time."""
        with self.effects.open("a") as effects:
            effects.writelines(f"go {number} 0\n" for number in numbers)

    def seen(self, what: str) -> list[tuple[float, int]]:
        """Give when which ship came in or went out, in order."""
        lines = [line.split() for line in self.effects.read_text().splitlines()]
        return sorted((float(at), int(number)) for where, number, at in lines if where == what)

    def most_together(self, numbers: range) -> int:
        """Give how many of these ships lay there at once, at most."""
        came, left = self.seen("in"), {number: at for at, number in self.seen("out")}
        spans = [(at, left[number]) for at, number in came if number in numbers]
        return max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)


@pytest.fixture(scope="module")
def docks(instance_template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docks]:
    directory: Path = tmp_path_factory.mktemp("docks")
    with running_instance(instance_template, directory) as instance:
        world = Docks(instance, directory)
        instance.environment |= {"WORKFLOW_MODULES": "tests.harbour"}
        instance.manage("shell", "-v", "0", "-c", SETUP)
        instance.start_web()
        world.start_workers()
        yield world


def test_no_more_than_so_many_run_and_the_urgent_come_first(docks: Docks) -> None:
    # The first two stay until the others have been seen waiting.
    ids = [docks.send("dock", n, line=f"line-{n}", seconds=0 if n < 2 else 0.2) for n in range(8)]
    wait_until(lambda: docks.statuses()["waiting"] == 6, 30.0, "the others to wait without a worker")
    shown = docks.instance.api.get(f"runs/{ids[-1]}").json()
    assert shown["reason"] == "waiting: 2 of 2 runs of agent dock are running"
    urgent = docks.send("dock", 8, priority=5, line="line-8", seconds=0.1)
    docks.let_go(0, 1)
    docks.wait_for_the_end()
    assert docks.most_together(range(9)) == 2
    order = [number for _, number in docks.seen("in")]
    assert sorted(order) == list(range(9))
    # It came last and overtook those that waited, in their order.
    assert order.index(8) <= 5, order
    waited = [number for number in order if number != 8]
    # Two places that come free together are taken by two that may change their order.
    assert max(abs(place - number) for place, number in enumerate(waited)) <= 1, order
    assert docks.instance.api.get(f"runs/{urgent}").json()["status"] == "succeeded"
    assert docks.events_have_no_gaps()


def test_the_same_value_of_a_field_runs_one_after_the_other(docks: Docks) -> None:
    for number in range(20, 24):
        docks.send("dock", number, line="north", seconds=0 if number == 20 else 0.1)
    last = docks.send("dock", 24, line="north", seconds=0.1)
    wait_until(lambda: docks.statuses()["waiting"] == 4, 30.0, "the others to wait")
    reason = docks.instance.api.get(f"runs/{last}").json()["reason"]
    assert reason == "waiting: 1 of 1 runs of agent dock with line=north are running"
    docks.let_go(20)
    docks.wait_for_the_end()
    assert docks.most_together(range(20, 25)) == 1


def test_a_run_that_waits_for_its_own_holds_no_place(docks: Docks) -> None:
    # As many trees as there are places in all: if the parents kept theirs, nothing would ever run below them.
    for number in range(40, 46):
        docks.send("convoy", number, convoy=True, line=f"line-{number}", seconds=0.05)
    docks.wait_for_the_end()
    assert len([1 for _, number in docks.seen("out") if number >= 40]) == 12


@pytest.mark.fault(23)
def test_the_places_of_a_killed_worker_come_back(docks: Docks) -> None:
    for number in range(60, 62):
        docks.send("dock", number, line=f"line-{number}", seconds=0)
    wait_until(lambda: len([1 for _, number in docks.seen("in") if number >= 60]) == 2, 30.0, "both places to be taken")
    for number in range(62, 68):
        docks.send("dock", number, line=f"line-{number}", seconds=0.05)
    wait_until(lambda: docks.statuses()["waiting"] == 6, 30.0, "the others to wait")
    for pid in docks.busy_pids():
        docks.instance.kill(pid)
    docks.let_go(60, 61)
    docks.wait_for_the_end(90.0)
    assert sorted(number for _, number in docks.seen("out") if number >= 60) == list(range(60, 68))
    assert docks.events_have_no_gaps()
