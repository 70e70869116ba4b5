"""The processes of a cluster under every kind of death: work goes on, nobody is left behind, nobody else is blamed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.instance import Instance, Process, Template, running_instance, wait_until
from tests.world import World

EX_SOFTWARE = 70


@pytest.fixture(scope="module")
def served(instance_template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with running_instance(instance_template, tmp_path_factory.mktemp("cluster")) as made:
        made.environment["WORKFLOW_MODULES"] = "tests.workflows"
        made.start_web()
        yield made


@pytest.fixture
def world(served: Instance, tmp_path: Path) -> Iterator[World]:
    made = World(served, tmp_path)
    served.environment |= {"LEASE_SECONDS": "3", "HEARTBEAT_SECONDS": "0.5"}
    yield made
    made.clear("agents_delivery", "django_q_ormq")


class Family:
    """The processes of a cluster by their parts; which of the sentinel's children is which is seen by what they do."""

    def __init__(self, cluster: Process, world: World) -> None:
        self.main = psutil.Process(cluster.pid)
        (self.sentinel,) = self.main.children() or [self.main]
        # In the order in which the sentinel starts them, after the workers.
        children = sorted((c for c in self.sentinel.children() if not is_gone(c)), key=lambda child: child.pid)
        registered = {pid for (pid,) in world.rows("SELECT pid FROM agents_worker WHERE state='alive'")}
        self.workers = registered & {child.pid for child in children}
        self.others = [child for child in children if child.pid not in self.workers]

    @property
    def monitor(self) -> psutil.Process:
        return self.others[0]

    @property
    def pusher(self) -> psutil.Process:
        return self.others[1]


def family(cluster: Process, world: World, workers: int = 2) -> Family:
    def complete() -> Family | None:
        found = Family(cluster, world)
        return found if len(found.workers) == workers and len(found.others) == 2 else None

    found = wait_until(complete, 30.0, "the cluster to be complete")
    assert found is not None
    return found


def run_one(world: World) -> None:
    """See a run through: the cluster works."""
    run = world.queue("chain", steps=3, seconds=0.0)
    wait_until(partial(has_ended, world, run), 20.0, "a run to end")
    assert answer(world, run)["status"] == "succeeded"


def answer(world: World, run: str) -> dict[str, Any]:
    found: dict[str, Any] = world.instance.api.get(f"runs/{run}").json()
    return found


def has_ended(world: World, run: str) -> bool:
    return answer(world, run)["status"] in ("succeeded", "failed", "cancelled")


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def all_gone(processes: list[psutil.Process]) -> bool:
    return all(is_gone(process) for process in processes)


def events_of(world: World, run: str, kind: str) -> list[Any]:
    statement = "SELECT data FROM agents_runevent WHERE run_id=? AND kind=? ORDER BY number"
    return [data if isinstance(data, dict) else json.loads(data) for (data,) in world.rows(statement, run, kind)]


@pytest.mark.fault(8)
def test_each_part_that_is_killed_or_stopped_is_replaced(world: World) -> None:
    cluster = world.start_workers()
    parts = family(cluster, world)
    idle = psutil.Process(min(parts.workers))
    for victim in (parts.pusher, parts.monitor, idle):
        victim.kill()
        wait_until(partial(is_gone, victim), 5.0, "its death")
        run_one(world)
    family(cluster, world)
    # A task needs the pusher, a worker and the monitor.
    world.instance.manage("shell", "--no-imports", "-c", enqueue("do_task", "alive"))
    wait_until(lambda: ("task", "alive") in world.done(), 10.0, "the task")
    wait_until(lambda: not world.rows("SELECT id FROM django_q_ormq"), 10.0, "its acknowledgement")
    assert cluster.stop() == 0


@pytest.mark.parametrize("part", ["main", "sentinel"])
def test_a_killed_head_leaves_no_orphan(world: World, part: str) -> None:
    cluster = world.start_workers(WORKERS="1")
    parts = family(cluster, world, 1)
    everybody = [parts.main, *parts.main.children(recursive=True)]
    getattr(parts, part).kill()
    wait_until(partial(all_gone, everybody), 10.0, "all to be gone")
    assert cluster.popen.wait(10.0) == (EX_SOFTWARE if part == "sentinel" else -signal.SIGKILL)


def test_a_sentinel_that_does_not_move_is_replaced_with_all_below_it(world: World) -> None:
    """By the main process it is killed, by the supervisor the cluster is started anew."""
    top = world.instance.start("worker", name="worker", WORKERS="1")

    def sentinel() -> psutil.Process | None:
        rows = world.rows("SELECT pid FROM agents_worker WHERE state='alive' ORDER BY id DESC")
        return psutil.Process(psutil.Process(rows[0][0]).ppid()) if rows else None

    first = wait_until(sentinel, 30.0, "the first cluster")
    assert first is not None
    everybody = first.children()
    first.suspend()
    wait_until(partial(all_gone, [first, *everybody]), 30.0, "the stuck cluster to be gone")
    run_one(world)
    everybody = [child for child in top.children() if child.is_running()]
    assert top.stop() == 0
    assert all_gone(everybody)


def test_a_signal_to_one_worker_drains_it_and_another_takes_its_place(world: World) -> None:
    cluster = world.start_workers(WORKERS="1")
    run = world.queue("patient", seconds=1.0)
    (pid,) = wait_until(world.busy_pids, 20.0, "a busy worker")
    wait_until(lambda: (run, "before#0") in world.recorded(), 10.0, "the step")
    world.instance.kill(pid, signal.SIGTERM)
    wait_until(partial(has_ended, world, run), 20.0, "the run to end")
    assert answer(world, run)["status"] == "succeeded"
    assert Counter(world.done())[run, "slow#0"] == 1
    assert (pid, "stopped") in world.rows("SELECT pid, state FROM agents_worker")
    assert cluster.stop() == 0


@pytest.mark.timeout(90)
def test_a_step_that_blocks_the_loop_fails_after_its_attempts(world: World) -> None:
    world.start_workers(WORKERS="1")
    neighbours = [world.queue("chain", steps=20, seconds=0.1) for _ in range(5)]
    run = world.queue("blocking", how="regex")
    wait_until(partial(has_ended, world, run), 60.0, "the blocking run to end")
    kind, message = answer(world, run)["output"]
    assert kind == "LoopBlocked"
    assert "plain function" in message
    assert "in block (workflows.py:" in message
    told = events_of(world, run, "loop_blocked")
    assert [event["key"] for event in told] == ["block#0"] * 2
    assert all("in block" in event["stack"] for event in told)
    world.wait_for_the_end()
    assert {answer(world, other)["status"] for other in neighbours} == {"succeeded"}
    # Once among others, then alone.
    crowded = [len(events_of(world, other, "run_started")) for other in neighbours]
    assert max(crowded) <= 2
    assert world.rows("SELECT count(*) FROM agents_run WHERE crashes > 0 OR suspect") == [(0,)]
    assert world.events_have_no_gaps()


@pytest.mark.fault(3)
@pytest.mark.timeout(170)
def test_runs_that_kill_their_worker_each_time_are_ended_and_nobody_else(world: World) -> None:
    world.start_workers()
    with ThreadPoolExecutor(8) as clients:
        others = list(clients.map(lambda _: world.queue("chain", steps=5, seconds=1.0), range(120)))
        # One from a thread, one from a task that its step has made.
        deadly = [world.queue("deadly", in_task=in_task) for in_task in (False, True)]
        others += clients.map(lambda _: world.queue("chain", steps=5, seconds=1.0), range(30))
    world.wait_for_the_end(120.0)
    for run in deadly:
        failed = answer(world, run)
        assert failed["status"] == "failed"
        assert failed["error"]["type"] == "Poison"
        assert "three times while it ran alone" in failed["error"]["message"]
        assert "die#0" in failed["reason"]
        died = [event["alone"] for event in events_of(world, run, "worker_died")]
        assert died[0] is False
        assert died.count(True) == 3
    assert Counter(answer(world, other)["status"] for other in others) == {"succeeded": 150}
    assert world.rows("SELECT count(*) FROM agents_run WHERE crashes > 0 AND workflow <> 'deadly'") == [(0,)]
    assert world.events_have_no_gaps()


@pytest.mark.fault(21)
def test_tasks_that_cannot_be_done_are_set_aside(world: World) -> None:
    cluster = world.start_workers(queue="tools", WORKERS="1", Q_CLUSTER_NAME="tools")
    broken = "from django_q.models import OrmQ; from django.utils import timezone;" + "".join(
        f"OrmQ.objects.create(key='tools', payload={payload!r}, lock=timezone.now());"
        for payload in ("damaged", "a:b:c")
    )
    code = broken + enqueue("die_as_task") + ";" + enqueue("not_there") + ";" + enqueue("do_task", "flows")
    world.instance.manage("shell", "--no-imports", "-c", code, Q_CLUSTER_NAME="tools")
    wait_until(lambda: ("task", "flows") in world.done(), 20.0, "the good task")
    aside = "SELECT name, count, reason FROM agents_delivery WHERE set_aside_at IS NOT NULL"
    wait_until(lambda: len(world.rows(aside)) == 4, 20.0, "the others to be set aside")
    rows = {name: (count, reason) for name, count, reason in world.rows(aside) if name}
    assert rows["tests.workflows.die_as_task"][0] == 3
    assert "each time its worker died" in rows["tests.workflows.die_as_task"][1]
    assert Counter(world.done())["task", "died"] == 3
    reasons = sorted(reason for _, _, reason in world.rows(aside))
    assert sum("can't be read" in reason for reason in reasons) == 2
    assert sum("tests.workflows.not_there is not there" in reason for reason in reasons) == 1
    wait_until(lambda: not world.rows("SELECT id FROM django_q_ormq"), 10.0, "the queue to be empty")
    began = time.monotonic()
    os.killpg(cluster.pid, signal.SIGTERM)
    assert cluster.popen.wait(20.0) == 0
    assert time.monotonic() - began < 10


def enqueue(function: str, *arguments: str) -> str:
    """Give the code that queues one of the tasks of tests/workflows.py."""
    given = ", ".join(repr(argument) for argument in (f"tests.workflows.{function}", *arguments))
    return f"__import__('django_q.tasks').tasks.async_task({given})"
