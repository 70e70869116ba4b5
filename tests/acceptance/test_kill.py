"""kill -9 of workers in the middle of runs: every run ends, and what was recorded is never done again."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.instance import Instance, Template, running_instance, wait_until
from tests.world import ENDED, World


@pytest.fixture(scope="module")
def served(instance_template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance whose web process serves all tests of this module; each starts and kills its own workers."""
    with running_instance(instance_template, tmp_path_factory.mktemp("kill")) as made:
        made.environment["WORKFLOW_MODULES"] = "tests.workflows"
        made.start_web()
        yield made


@pytest.fixture
def world(served: Instance, tmp_path: Path) -> Iterator[World]:
    made = World(served, tmp_path)
    yield made
    made.clear()


def mark(world: World) -> tuple[set[tuple[str, str]], int]:
    """Remember what is recorded now, and then how far the outside log reaches: nothing recorded may come after."""
    recorded = world.recorded()
    return recorded, world.effects.stat().st_size


def check_marks(world: World, marks: Sequence[tuple[set[tuple[str, str]], int]]) -> None:
    for recorded, position in marks:
        again = recorded & set(world.done(after=position))
        assert not again, f"recorded, and done again after a kill: {again}"
    times = Counter(world.done())
    assert set(times) == {pair for pair in world.recorded() if pair[1].rpartition("/")[2].startswith("link")}
    assert max(times.values()) <= 1 + len(marks)


def queue_some(world: World) -> None:
    for _ in range(2):
        world.queue("chain", steps=60, seconds=0.04)
        world.queue("branches", branches=5, steps=20, seconds=0.04)
    world.queue("family", children=3, steps=25, seconds=0.04)


def test_a_killed_worker_process_beside_a_living_one(world: World) -> None:
    random = Random(20)
    cluster = world.start_workers()
    queue_some(world)
    marks = []
    began = time.monotonic()
    for _ in range(6):
        pid = random.choice(wait_until(world.busy_pids, 20.0, "a busy worker"))
        time.sleep(random.uniform(0.0, 0.6))
        if pid not in world.busy_pids():
            continue
        world.instance.kill(pid)
        marks.append(mark(world))
        wait_until(partial(let_go, world, pid), 10.0, "its runs to be taken over")
    assert len(marks) >= 3
    world.wait_for_the_end()
    assert time.monotonic() - began < 60
    check_marks(world, marks)
    assert set(world.statuses()) == {"succeeded"}
    assert world.events_have_no_gaps()
    assert cluster.stop() == 0


def test_a_killed_cluster_and_a_new_one(world: World) -> None:
    random = Random(21)
    want_to_know(world)
    queue_some(world)
    marks = []
    for _ in range(3):
        cluster = world.start_workers()
        wait_until(world.busy_pids, 20.0, "a busy worker")
        time.sleep(random.uniform(0.1, 1.0))
        for process in [*cluster.children(), cluster.pid]:
            # Those whose parent was killed before them may be gone already.
            with suppress(ProcessLookupError):
                world.instance.kill(process)
        cluster.popen.wait(10.0)
        marks.append(mark(world))
    world.start_workers()
    world.wait_for_the_end()
    check_marks(world, marks)
    assert set(world.statuses()) == {"succeeded"}
    assert world.events_have_no_gaps()
    # Each end was told of, and once, whoever was killed around it.
    told = world.rows("SELECT cause_id FROM agents_event WHERE name = 'run.succeeded'")
    assert sorted(told) == sorted(world.rows("SELECT id FROM agents_run"))


@pytest.mark.fault(4)
def test_a_signal_to_the_whole_group_drains(world: World) -> None:
    first = world.start_workers()
    quick = world.queue("patient", seconds=1.5)
    slow = world.queue("patient", seconds=5.0)
    wait_until(lambda: {(quick, "before#0"), (slow, "before#0")} <= world.recorded(), 20.0, "both to begin")
    began = time.monotonic()
    os.killpg(first.pid, signal.SIGTERM)
    assert first.popen.wait(20.0) == 0
    assert time.monotonic() - began < 10
    # Within the grace the one step ended and was recorded; the other was cut off. Both runs were given back.
    assert (quick, "slow#0") in world.recorded()
    assert (slow, "slow#0") not in world.recorded()
    assert (quick, "after#0") not in world.recorded()
    assert world.statuses() == {"queued": 2}
    assert {state for (state,) in world.rows("SELECT state FROM agents_worker")} == {"stopped"}
    world.start_workers()
    world.wait_for_the_end()
    assert set(world.statuses()) == {"succeeded"}
    assert Counter(world.done())[quick, "slow#0"] == 1


@pytest.mark.fault(49)
def test_a_workflow_and_an_agent_that_change_while_runs_are_under_way(world: World) -> None:
    variants = {
        "inserted": (["inserted", "as it was", "a#0", "new#0", "b#0", "c#0"], ["new#0"]),
        "removed": (["removed", "as it was", "a#0", "c#0"], []),
        "renamed": (["renamed", "as it was", "a#0", "other#0", "c#0"], ["other#0"]),
        "changed": (["changed", "as it was", "a#0", "b#0", "c#0"], ["b#0", "c#0"]),
    }
    first = world.start_workers(WORKERS="1")
    publish(world, "as it was", "as it is now")
    runs = {variant: start_evolver(world) for variant in variants}
    wait_until(lambda: world.statuses() == {"waiting": len(runs)}, 20.0, "all to sleep")
    first.stop()
    second = "SELECT id FROM agents_agentversion WHERE agent_id = agents_agent.id AND number = 2"
    world.change(f"UPDATE agents_agent SET current_id = ({second}) WHERE name = 'evolver'")  # noqa: S608 (our own text)
    before = world.done()
    assert sorted(key for _, key in before) == sorted(["a#0", "b#0", "c#0"] * len(runs))
    for variant, (output, again) in variants.items():
        # The sleep is over for this one run.
        run = runs[variant]
        position = world.effects.stat().st_size
        worker = world.start_workers(WORKERS="1", WORKFLOW_VARIANT=variant)
        world.instance.api.post(f"runs/{run}/pause").raise_for_status()
        world.instance.api.post(f"runs/{run}/resume").raise_for_status()
        if variant == "changed":
            wait_until(partial(reason_has, world, run, "workflow changed at b#0"), 40.0, "the question")
            decision = {"key": "b#0", "choice": "rerun"}
            assert world.instance.api.post(f"runs/{run}/decisions", json=decision).status_code == 202
        answer = wait_until(partial(ended, world, run), 40.0, f"the run {variant} to end") or {}
        assert (answer["status"], answer["output"]) == ("succeeded", output)
        assert answer["agent_version"] == 1
        assert [key for _, key in world.done(after=position)] == again
        if variant == "changed":
            new = wait_until(partial(ended, world, start_evolver(world)), 40.0, "a new run to end") or {}
            assert (new["agent_version"], new["output"][:2]) == (2, ["changed", "as it is now"])
        worker.stop()


def want_to_know(world: World) -> None:
    """Have a subscription to the ends of runs, which starts nothing."""
    wanted = {"name": "ends", "pattern": "run.succeeded", "agent": "researcher", "state": "draft"}
    with world.instance.client(world.instance.token(scopes=("read", "write", "admin"))) as api:
        made = api.post("subscriptions", json=wanted)
    assert made.status_code == 201, made.text


def publish(world: World, *instructions: str) -> None:
    """Make the agent `evolver` with a version for each of these, the first of which is its current one."""
    code = (
        "from agents.models import Agent, Workspace;"
        "agent = Agent.objects.create(workspace=Workspace.objects.get(slug='default'), name='evolver');"
        "agent.current, *_ = [agent.versions.create(number=number, workflow='evolving', instructions=text)"
        f" for number, text in enumerate({instructions!r}, 1)];"
        "agent.save()"
    )
    world.instance.manage("shell", "--no-imports", "-c", code)


def start_evolver(world: World) -> str:
    answer = world.instance.api.post("runs", json={"agent": "evolver"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def let_go(world: World, pid: int) -> bool:
    return pid not in world.busy_pids()


def reason_has(world: World, run: str, text: str) -> bool:
    return text in str(world.instance.api.get(f"runs/{run}").json()["reason"])


def ended(world: World, run: str) -> dict[str, Any] | None:
    answer: dict[str, Any] = world.instance.api.get(f"runs/{run}").json()
    return answer if answer["status"] in ENDED else None
