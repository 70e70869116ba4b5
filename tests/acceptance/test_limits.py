"""Limits over real processes: never exceeded, given back by the dead, and heeded by all when the other side asks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harbour import BUSY, LOCK
from tests.instance import Template, running_instance, wait_until
from tests.world import World

LIMITS = """
from tools.models import Limit
Limit.objects.create(name="quay:narrow", amount=2)
Limit.objects.create(name="quay:lock", at_once=2)
"""
AT_ONCE = 0.999
"""A second, less what two looks at a clock may differ."""


class Harbour(World):
    """An instance whose tools are limited."""

    def moor(self, quay: str, ships: range) -> list[str]:
        return [self.queue("fleet", quay=quay, number=number) for number in ships]

    def arrive(self, quay: str, number: int) -> str:
        """Let a ship come, and see that a worker has it before the next one comes."""
        (id,) = self.moor(quay, range(number, number + 1))
        taken = f"{number} to be taken"
        wait_until(lambda: self.instance.api.get(f"runs/{id}").json()["status"] != "queued", 30.0, taken)
        return id

    def moored(self, quay: str) -> list[tuple[float, int]]:
        """Give when which ship was moored, in order."""
        lines = [line.split() for line in self.effects.read_text().splitlines()]
        return sorted((float(at), int(number)) for where, number, at in lines if where == quay)


@pytest.fixture(scope="module")
def harbour(instance_template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    directory: Path = tmp_path_factory.mktemp("harbour")
    with running_instance(instance_template, directory) as instance:
        world = Harbour(instance, directory)
        instance.environment |= {"TOOL_MODULES": "tests.harbour", "WORKFLOW_MODULES": "tests.harbour"}
        instance.manage("shell", "-v", "0", "-c", LIMITS)
        instance.start_web()
        world.start_workers()
        # The first calls of a process find it busy with starting.
        world.moor("wide", range(4))
        world.wait_for_the_end()
        yield world


def most_within(moments: list[float], seconds: float) -> int:
    return max(sum(start <= other < start + seconds for other in moments) for start in moments)


@pytest.mark.fault(23)
def test_runs_of_two_processes_share_a_limit_and_park_for_it(harbour: Harbour) -> None:
    ids = [harbour.arrive("narrow", number) for number in range(16)]
    waiting = wait_until(
        lambda: [run for run in harbour.instance.api.get("runs").json()["items"] if run["status"] == "waiting"],
        60.0,
        "a run to wait without a worker",
    )
    assert waiting[0]["reason"].startswith("waiting: limit quay:narrow, about ")
    harbour.wait_for_the_end(90.0)
    moored = harbour.moored("narrow")
    assert sorted(number for _, number in moored) == list(range(16))
    assert most_within([at for at, _ in moored], AT_ONCE) <= 2
    # What was waited for is no attempt, and none of the step's time.
    for id in ids[-3:]:
        (step,) = harbour.instance.api.get(f"runs/{id}/steps").json()["items"]
        assert (step["status"], step["attempt"]) == ("succeeded", 1)
    # First come, first served: but for those that came within the same moments.
    order = [number for _, number in moored]
    assert max(abs(place - number) for place, number in enumerate(order)) <= 4


def test_what_one_process_has_asked_serves_all_for_a_while(harbour: Harbour) -> None:
    harbour.queue("pilot", water="bay")
    harbour.wait_for_the_end()
    ids = [harbour.queue("pilot", water="bay") for _ in range(6)]
    harbour.wait_for_the_end()
    assert harbour.effects.read_text().count("chart bay") == 1
    for id in ids:
        assert harbour.instance.api.get(f"runs/{id}").json()["output"] == "a chart of the bay"
        (step,) = harbour.instance.api.get(f"runs/{id}/steps").json()["items"]
        assert harbour.instance.api.get(f"runs/{id}/steps/{step['id']}").json()["outcome"]["cached"]


@pytest.mark.fault(23)
def test_the_permits_of_a_killed_process_come_back(harbour: Harbour) -> None:
    harbour.moor("lock", range(LOCK))
    wait_until(lambda: len(harbour.moored("lock")) == LOCK, 60.0, "the lock to be full")
    harbour.moor("lock", range(LOCK, 6))
    wait_until(lambda: harbour.statuses()["waiting"] == 6 - LOCK, 60.0, "the others to wait without a worker")
    assert len(harbour.moored("lock")) == LOCK
    for pid in harbour.busy_pids():
        harbour.instance.kill(pid)
    harbour.wait_for_the_end(90.0)
    came, left = harbour.moored("lock")[LOCK:], harbour.moored("left-lock")
    assert sorted(number for _, number in left) == list(range(6))
    together = [sum(at <= moment for at, _ in came) - sum(at < moment for at, _ in left) for moment, _ in came]
    assert max(together) <= LOCK


@pytest.mark.fault(24)
def test_all_wait_when_the_other_side_asks_for_it_and_hold_no_slot(harbour: Harbour) -> None:
    (first,) = harbour.moor("busy", range(1))
    wait_until(lambda: harbour.moored("busy"), 60.0, "the first to be turned away")
    refused_at = harbour.moored("busy")[0][0]
    wait_until(
        lambda: harbour.rows("SELECT 1 FROM tools_limitpause WHERE key = 'quay:busy'"), 60.0, "the pause to be known"
    )
    paused_at = time.monotonic()
    wait_until(lambda: time.monotonic() > paused_at + 1.2, 10.0, "all processes to have looked anew")
    ids = harbour.moor("busy", range(1, 13))
    wait_until(
        lambda: harbour.statuses()["waiting"] == 13 and not harbour.busy_pids(),
        refused_at + BUSY - time.monotonic(),
        "all of them to wait without a worker",
    )
    harbour.wait_for_the_end(90.0)
    moored = harbour.moored("busy")
    assert len(moored) == 14
    assert moored[0] == (refused_at, 0)
    assert moored[1][0] >= refused_at + BUSY - 0.05
    assert all(harbour.instance.api.get(f"runs/{id}").json()["status"] == "succeeded" for id in [first, *ids])
