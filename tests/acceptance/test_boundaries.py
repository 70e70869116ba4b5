"""Workers that are killed or stopped at the worst moments: nothing recorded is done again, nothing is lost."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import pytest

from tests.boundaries import END, IN_THE_JOURNAL, IN_THE_WORKFLOW
from tests.instance import Instance, Template, running_instance, wait_until
from tests.world import World

STEPS = ("link#0", "link#1", "link#2")


@pytest.fixture(scope="module")
def served(instance_template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with running_instance(instance_template, tmp_path_factory.mktemp("boundaries")) as made:
        made.environment["WORKFLOW_MODULES"] = "tests.workflows,tests.boundaries"
        made.start_web()
        yield made


@pytest.fixture
def world(served: Instance, tmp_path: Path) -> Iterator[World]:
    made = World(served, tmp_path)
    served.environment |= {"LEASE_SECONDS": "3", "HEARTBEAT_SECONDS": "0.5"}
    yield made
    made.clear()


def stopped(world: World) -> dict[tuple[str, str, str], int]:
    """Give the boundaries (run, step, where) at which a worker stopped, and the worker's process id."""
    file = world.effects.with_name("effects.stopped")
    lines = file.read_text().splitlines() if file.exists() else []
    return {(run, step, where): int(pid) for pid, run, step, where in map(str.split, lines)}


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.kill()
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 10.0, "its death")


@pytest.mark.timeout(150)
@pytest.mark.fault(1, 2)
def test_a_kill_at_each_boundary_repeats_nothing_that_is_recorded(world: World) -> None:
    world.start_workers()
    # Nine runs, each of which waits for the kill at another boundary; three with effects that must not be doubled.
    places = {world.queue("boundaries", stops=[place]): place for place in product(STEPS, IN_THE_WORKFLOW)}
    unsafe = {
        choice: world.queue("boundaries", stops=[("link#1", where)], effect="unsafe")
        for choice, where in (("done", "done"), ("retry", "done"), ("give_up", "begun"))
    }
    everybody = len(places) + len(unsafe)
    wait_until(lambda: len(stopped(world)) == everybody, 30.0, "all to stop at their boundaries")
    recorded, position = world.recorded(), world.effects.stat().st_size
    for pid in set(stopped(world).values()):
        kill(pid)
    wait_until(lambda: set(places) <= succeeded(world), 30.0, "the safe ones to end")
    assert not recorded & set(world.done(after=position)), "recorded, and done again"
    lone = kill_in_the_journal(world)
    wait_until(lambda: lone in succeeded(world), 30.0, "it to end")
    done = Counter(world.done())
    for run, (step, where) in places.items():
        # What was done and not recorded is done again, and nothing else.
        expected = {one: 1 + (one == step and where == "done") for one in STEPS}
        assert {one: done[run, one] for one in STEPS} == expected, (step, where)
        attempts = dict(world.rows("SELECT key, attempt FROM agents_step WHERE run_id=?", run))
        assert attempts == {one: 1 + (one == step and where != "before") for one in STEPS}, (step, where)
    assert [done[lone, step] for step in STEPS] == [2, 2, 2], "once for each transaction that was not committed"
    check_unsafe(world, unsafe)
    assert world.events_have_no_gaps()
    assert world.rows("SELECT count(*) FROM agents_run WHERE crashes > 0") == [(0,)]


def kill_in_the_journal(world: World) -> str:
    """Kill the worker of one run before and after each of its commits; gives the run."""
    boundaries = [*product(STEPS, IN_THE_JOURNAL), *product([END], IN_THE_JOURNAL)]
    run = world.queue("boundaries", stops=boundaries)
    for step, where in boundaries:
        wait_until(lambda: (run, step, where) in stopped(world), 30.0, f"the journal to stop {where} {step}")  # noqa: B023
        recorded, position = world.recorded(), world.effects.stat().st_size
        assert ((run, step) in recorded or step == END) == (where == "written" or step == END)
        kill(stopped(world)[run, step, where])
        assert not recorded & set(world.done(after=position))
    return run


def check_unsafe(world: World, runs: dict[str, str]) -> None:
    """Each waits for a person, whatever became of its effect, and heeds the answer."""
    asked = "SELECT count(*) FROM agents_wait WHERE kind='unknown'"
    wait_until(lambda: world.rows(asked) == [(len(runs),)], 30.0, "the questions")
    before = Counter(world.done())
    for choice, run in runs.items():
        assert "unknown" in world.instance.api.get(f"runs/{run}").json()["reason"]
        decision = {"key": "link#1", "choice": choice}
        assert world.instance.api.post(f"runs/{run}/decisions", json=decision).status_code == 202
    world.wait_for_the_end()
    after = Counter(world.done())
    for choice, run in runs.items():
        assert before[run, "link#1"] == (choice != "give_up")
        assert after[run, "link#1"] - before[run, "link#1"] == (choice == "retry")
        assert (run in succeeded(world)) == (choice != "give_up")


def succeeded(world: World) -> set[str]:
    rows = world.instance.api.get("runs", params={"status": "succeeded", "limit": 100}).json()["items"]
    return {row["id"] for row in rows}


@pytest.mark.fault(5)
def test_a_worker_that_was_stopped_past_its_lease_writes_nothing_more(world: World) -> None:
    asleep = world.start_workers(WORKERS="1")
    runs = [world.queue("signed", steps=30) for _ in range(5)]
    (old,) = wait_until(world.busy_pids, 30.0, "the first worker")
    wait_until(lambda: len({run for run, _ in world.recorded()}) == len(runs), 20.0, "all to be under way")
    world.silence(asleep)
    other = world.start_workers(WORKERS="1")
    try:
        taken_over = "SELECT count(*) FROM agents_step WHERE status='succeeded' AND outcome <> ?"
        wait_until(lambda: world.rows(taken_over, str(old))[0][0] >= 3 * len(runs), 40.0, "others to take over")
        (new,) = world.busy_pids()
        position = world.effects.stat().st_size
    finally:
        os.killpg(asleep.pid, signal.SIGCONT)
    # It finds the steps done that it was in the middle of; then it learns that it is dead, and comes back as another.
    wait_until(lambda: alive(world) == {old, new}, 20.0, "the old one to register anew")
    world.wait_for_the_end()
    assert {status for (status,) in world.rows("SELECT status FROM agents_run")} == {"succeeded"}
    late = [(run, line.split(":")[0]) for run, line in world.done(after=position) if line.endswith(f":{old}")]
    assert late, "the old worker had nothing in hand"
    assert len(late) == len({run for run, _ in late}), "it began another step"
    for run, step in late:
        written = "SELECT outcome FROM agents_step WHERE run_id=? AND key=?"
        assert world.rows(written, run, step) == [(str(new),)]
    finished = Counter(world.rows("SELECT run_id, kind FROM agents_runevent WHERE kind IN ('run_succeeded')"))
    assert set(finished.values()) == {1}
    assert world.rows("SELECT count(*) FROM agents_runevent WHERE kind='step_finished'") == [(30 * len(runs),)]
    assert world.events_have_no_gaps()
    assert other.stop() == asleep.stop() == 0


def alive(world: World) -> set[int]:
    return {pid for (pid,) in world.rows("SELECT pid FROM agents_worker WHERE state='alive'")}


@pytest.mark.fault(7)
def test_what_was_accepted_ends_although_everything_was_killed_under_load(world: World) -> None:
    """The last test of this module: it replaces the web process."""
    world.start_workers()
    accepted: list[str] = []
    with ThreadPoolExecutor(2) as clients:
        posting = [clients.submit(post_until_nobody_answers, world, accepted) for _ in range(2)]
        wait_until(lambda: len(accepted) > 20 and world.recorded(), 30.0, "some load")
        for process in world.instance.processes:
            os.killpg(process.pid, signal.SIGKILL)
        for post in posting:
            post.result()
    for process in world.instance.processes:
        process.popen.wait(10.0)
    assert "running" in world.statuses()
    world.instance.processes.clear()
    world.instance.start_web()
    world.start_workers()
    world.wait_for_the_end()
    assert set(accepted) <= {str(UUID(str(run))) for (run,) in world.rows("SELECT id FROM agents_run")}
    assert set(world.statuses()) == {"succeeded"}
    assert world.events_have_no_gaps()


def post_until_nobody_answers(world: World, accepted: list[str]) -> None:
    with world.instance.client(str(world.instance.api.headers["Authorization"]).split()[1]) as client:
        while True:
            try:
                answer = client.post("runs", json={"workflow": "chain", "input": {"steps": 3, "seconds": 0.2}})
            except httpx.TransportError:
                return
            assert answer.status_code == 202, answer.text
            accepted.append(answer.json()["id"])
