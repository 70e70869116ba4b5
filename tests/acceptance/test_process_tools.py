"""Tools in processes of their own, on two hosts: each ends as declared, and nobody else is harmed by it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.instance import Process, Template, running_instance, wait_until
from tests.world import ENDED, World

PATIENCE = 60.0
Calls = list[tuple[str, dict[str, Any]]]


class Foundry(World):
    """An instance with a worker of runs and two hosts of tools, north and south."""

    hosts: dict[str, Process]

    def smelt(self, *calls: tuple[str, dict[str, Any]]) -> str:
        answer = self.instance.api.post("runs", json={"workflow": "smelt", "input": list(calls)})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def run(self, run: str) -> dict[str, Any]:
        return dict(self.instance.api.get(f"runs/{run}").json())

    def output(self, run: str) -> Any:
        """Wait for a run's success."""
        wait_until(lambda: self.run(run)["status"] in ENDED, PATIENCE, f"the end of {self.run(run)}")
        ended = self.run(run)
        assert ended["status"] == "succeeded", (ended, self.steps(run))
        return ended["output"]

    def steps(self, run: str) -> dict[str, dict[str, Any]]:
        """Give the steps of a run's tools by their name."""
        return {step["name"]: step for step in self.instance.api.get(f"runs/{run}/steps").json()["items"]}

    def attempts(self, run: str, tool: str) -> list[str]:
        """Give how the earlier attempts of a call failed."""
        return [attempt["type"] for attempt in self.steps(run)[tool]["attempts"] or ()]

    def events(self, run: str, kind: str) -> list[dict[str, Any]]:
        items = self.instance.api.get(f"runs/{run}/events", params={"limit": 1000}).json()["items"]
        return [event["data"] for event in items if event["kind"] == kind]

    def pids(self, label: str) -> list[int]:
        """Give the processes that have begun under this label."""
        return [int(pid) for began, pid in self.done() if began == label]

    def began(self, label: str, times: int = 1) -> int:
        """Wait until so many have begun under this label; give the last one's process."""
        wait_until(lambda: len(self.pids(label)) >= times, PATIENCE, f"{label} to begin")
        return self.pids(label)[-1]

    def where(self, pid: int) -> str:
        """Give the host whose cluster a process belongs to."""
        above = {parent.pid for parent in psutil.Process(pid).parents()}
        return next(name for name, cluster in self.hosts.items() if cluster.pid in above)


@pytest.fixture(scope="module")
def foundry(instance_template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foundry]:
    directory: Path = tmp_path_factory.mktemp("foundry")
    with running_instance(instance_template, directory) as instance:
        world = Foundry(instance, directory)
        instance.environment |= {
            "TOOL_MODULES": "tests.foundry",
            "WORKFLOW_MODULES": "tests.foundry",
            "LEASE_SECONDS": "3",
            "HEARTBEAT_SECONDS": "0.5",
            "GRACE_SECONDS": "1",
        }
        world.start_workers(WORKERS="1", WORKER_HOST="quay")
        world.hosts = {name: start_host(world, name) for name in ("north", "south")}
        instance.start_web()
        yield world


def start_host(world: World, name: str) -> Process:
    return world.start_workers("tools", WORKER_HOST=name)


def is_gone(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


@pytest.mark.fault(6)
def test_each_ends_as_declared_and_its_neighbours_unharmed(foundry: Foundry) -> None:
    neighbours = foundry.smelt(*(("crunch", {"label": f"n{n}", "seconds": 2.5}) for n in range(2)))
    mixed = foundry.smelt(
        ("eat", {"label": "eater"}),
        ("ignore", {"label": "ignorer"}),
        ("stumble", {"label": "stumbler"}),
        ("crunch", {"label": "sibling", "seconds": 0.5}),
        ("crunch", {"label": 7, "seconds": "soon"}),
        ("keep", {"text": "ore"}),
    )
    # Killed by hand, in the midst of it.
    os.kill(foundry.began("stumbler"), signal.SIGKILL)
    eaten, ignored, stumbled, sibling, wrong, kept = foundry.output(mixed)
    assert eaten == ["OutOfMemory", "It needed more than the 64 MB of memory that it may have."]
    assert (len(foundry.pids("eater")), foundry.attempts(mixed, "eat")) == (1, [])
    assert ignored[0] == "StepTimeout"
    assert "not done within 1 s, and killed" in ignored[1]
    assert (len(foundry.pids("ignorer")), foundry.attempts(mixed, "ignore")) == (2, ["StepTimeout"])
    assert stumbled in ("north", "south")
    assert foundry.attempts(mixed, "stumble") == ["ProcessDied"]
    assert (sibling["label"], wrong[0], kept) == ("sibling", "ToolFailed", "kept")
    assert foundry.rows("SELECT name FROM agents_artifact WHERE run_id=?", mixed) == [("kept.txt",)]
    # The neighbours were on both hosts, each in a process of its own, and have not noticed.
    done = foundry.output(neighbours)
    assert {answer["host"] for answer in done} <= set(foundry.hosts)
    assert [foundry.pids(label) for label in ("n0", "n1")] == [[answer["pid"]] for answer in done]
    assert all(is_gone(int(pid)) for _, pid in foundry.done())
    assert all(cluster.is_running for cluster in foundry.hosts.values())
    assert foundry.rows("SELECT 1 FROM agents_processcall") == []


def test_meanwhile_the_run_is_parked_and_shows_how_far_it_is(foundry: Foundry) -> None:
    run = foundry.smelt(("crunch", {"label": "long", "seconds": 3.0}))
    pid = foundry.began("long")
    host = foundry.where(pid)
    wait_until(lambda: foundry.events(run, "step_progress"), PATIENCE, "progress")
    shown = foundry.run(run)
    assert (shown["status"], shown["reason"]) == ("waiting", f"waiting for a process of its own: crunch on {host}")
    assert foundry.rows("SELECT worker_id FROM agents_run WHERE status='running'") == []
    assert foundry.output(run)[0]["pid"] == pid
    (started,) = foundry.events(run, "process_started")
    assert started["host"] == host
    told = foundry.events(run, "step_progress")
    assert 1 <= len(told) <= 10, "at most one a second"
    assert [each["done"] for each in told] == sorted(each["done"] for each in told)
    assert told[0]["text"].endswith("of 3.0 s")
    assert foundry.events_have_no_gaps()


def test_a_cancel_ends_the_process_and_a_retry_begins_anew(foundry: Foundry) -> None:
    run = foundry.smelt(("stumble", {"label": "unwanted"}), ("pour", {"label": "poured"}))
    pids = [foundry.began("unwanted"), foundry.began("poured")]
    wait_until(lambda: foundry.run(run)["status"] == "waiting", PATIENCE, "the run to be parked")
    assert foundry.instance.api.post(f"runs/{run}/cancel").json()["status"] == "cancelled"
    wait_until(lambda: all(map(is_gone, pids)), PATIENCE, "the processes to end")
    assert {name: step["status"] for name, step in foundry.steps(run).items()} == {
        "stumble": "interrupted",
        "pour": "unknown",
    }
    # What is safe is done again; what is not is left alone until a person has been asked.
    assert foundry.instance.api.post(f"runs/{run}/retry").status_code == 202
    foundry.began("unwanted", times=2)
    assert foundry.instance.api.post(f"runs/{run}/cancel").status_code == 202
    assert len(foundry.pids("poured")) == 1


def decided(foundry: Foundry, run: str, choice: str) -> None:
    """Wait for the question about `pour`, and answer it."""

    def is_asked() -> bool:
        return bool(foundry.rows("SELECT 1 FROM agents_wait WHERE kind='unknown' AND run_id=?", run))

    wait_until(is_asked, PATIENCE, "the question")
    key = foundry.steps(run)["pour"]["key"]
    assert foundry.instance.api.post(f"runs/{run}/decisions", json={"key": key, "choice": choice}).status_code == 202


def test_what_must_not_be_repeated_is_asked_about(foundry: Foundry) -> None:
    run = foundry.smelt(("pour", {"label": "dangerous"}))
    os.kill(foundry.began("dangerous"), signal.SIGKILL)
    decided(foundry, run, "retry")
    os.kill(foundry.began("dangerous", times=2), signal.SIGKILL)
    decided(foundry, run, "give_up")
    assert foundry.output(run)[0][0] == "OutcomeUnknown"
    assert len(foundry.pids("dangerous")) == 2


def test_a_host_that_is_killed_or_falls_silent_is_taken_over_from(foundry: Foundry) -> None:
    # Killed in the midst of it, with all its processes.
    run = foundry.smelt(("stumble", {"label": "left"}))
    pid = foundry.began("left")
    host = foundry.where(pid)
    os.killpg(foundry.hosts[host].pid, signal.SIGKILL)
    other = next(name for name in foundry.hosts if name != host)
    assert foundry.output(run) == [other]
    assert foundry.attempts(run, "stumble") == ["WorkerDied"]
    assert is_gone(pid)
    foundry.hosts[host].stop()
    foundry.hosts[host] = start_host(foundry, host)

    # Silent for longer than its lease, while the process that it no longer sees to comes to its end.
    wait_until(lambda: foundry.hosts[host].children(), PATIENCE, "the host to be back")
    run = foundry.smelt(("crunch", {"label": "late", "seconds": 6.0}))
    host = foundry.where(foundry.began("late"))
    stopped = foundry.hosts[host]
    foundry.silence(stopped)
    try:
        (answer,) = foundry.output(run)
        assert foundry.rows("SELECT id FROM django_q_ormq"), "it is not through with its task"
    finally:
        os.killpg(stopped.pid, signal.SIGCONT)
    assert (answer["host"] != host, foundry.attempts(run, "crunch")) == (True, ["WorkerDied"])
    # Back, it is not heard, or finds out before it says anything that nobody waits for it.
    wait_until(lambda: not foundry.rows("SELECT id FROM django_q_ormq"), PATIENCE, "it to be through with its task")
    assert foundry.output(run) == [answer]
    assert foundry.rows("SELECT 1 FROM agents_processcall") == []


def test_a_host_that_is_stopped_gives_its_call_away(foundry: Foundry) -> None:
    run = foundry.smelt(("stumble", {"label": "moved"}))
    host = foundry.where(foundry.began("moved"))
    assert foundry.hosts[host].stop() == 0
    assert foundry.output(run) == [next(name for name in foundry.hosts if name != host)]
    # No attempt of it was used up.
    assert foundry.attempts(run, "stumble") == ["Interrupted"]
