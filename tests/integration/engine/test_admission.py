"""Caps on running runs, of a workspace, an agent and a value of the input: with real drivers and tables."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from agents.engine import Context, admission, reaping, workflow
from agents.models import Run, RunPermit, RunStatus, Wait, Worker, Workspace
from agents.services.runs import cancel_run, pause_run, resume_run, start_run
from tests.driving import PATIENCE, kinds, until, wait_for
from tests.factories import make_agent, make_run, make_worker

if TYPE_CHECKING:
    from agents.models import Agent
    from tests.driving import RunningDriver

StartDriver = Callable[..., "RunningDriver"]


class Gate:
    """A step at which runs are held, and who was seen there."""

    def __init__(self) -> None:
        self.open: dict[str, threading.Event] = {}
        self.began: list[str] = []
        self.at_work: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._lock = threading.Lock()

    def work(self, name: str, kind: str) -> str:
        with self._lock:
            self.began.append(name)
            self.at_work[kind] += 1
            self.most[kind] = max(self.most[kind], self.at_work[kind])
            event = self.open.setdefault(name, threading.Event())
        assert event.wait(PATIENCE)
        with self._lock:
            self.at_work[kind] -= 1
        return name

    def until_began(self, *names: str) -> None:
        wait_for(lambda: set(names) <= set(self.began), f"{names} to begin")

    def let(self, name: str) -> None:
        with self._lock:
            self.open.setdefault(name, threading.Event()).set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()

    @workflow("gated")
    async def gated(ctx: Context, input: Any) -> Any:
        return await ctx.step("work", made.work, input["name"], input.get("kind", ""))

    @workflow("gated_parent")
    async def gated_parent(ctx: Context, input: Any) -> Any:
        return await ctx.gather(*(ctx.call("gated", {"name": name}) for name in input["names"]))

    yield made
    for event in list(made.open.values()):
        event.set()


def begin(agent: Agent, name: str, **options: Any) -> Run:
    kind = options.pop("kind", "")
    return start_run(workspace=agent.workspace, agent=agent, input={"name": name, "kind": kind}, **options)


def until_waiting(run: Run) -> Run:
    return until(run.pk, "waiting")


def test_of_an_agent_so_many_run_and_the_others_wait_their_turn(
    driver: RunningDriver, workspace: Workspace, gate: Gate
) -> None:
    agent = make_agent(workspace, "reader", workflow="gated", caps={"max_running": 2})
    other = make_agent(workspace, "other", workflow="gated")
    first = [begin(agent, name) for name in "ab"]
    wait_for(lambda: sorted(gate.began) == ["a", "b"], "both to be at work")
    late = [begin(agent, name) for name in "cd"]
    for run in late:
        assert until_waiting(run).reason == "waiting: 2 of 2 runs of agent reader are running"
    urgent = begin(agent, "urgent", priority=5)
    until_waiting(urgent)
    free = begin(other, "free")
    gate.let("free")
    until(free.pk)
    assert "run_started" not in kinds(late[0].pk)
    for name, following in zip("abc", ("urgent", "c", "d"), strict=False):
        gate.let(name)
        gate.until_began(following)
    assert gate.began[2:] == ["free", "urgent", "c", "d"]
    for name in ("urgent", "d"):
        gate.let(name)
    for run in (*first, *late, urgent):
        assert until(run.pk).status == "succeeded"
    assert gate.most[""] <= 3
    assert not Wait.objects.exists()


def test_a_tree_does_not_lock_itself_out(driver: RunningDriver, workspace: Workspace, gate: Gate) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(max_running=1)
    wait_for(lambda: driver.driver and driver.driver._admissions._capped, "the cap to be known")
    parent = start_run(workspace=workspace, workflow="gated_parent", input={"names": ["x", "y", "z"]})
    for name in "xyz":
        gate.let(name)
    assert until(parent.pk).status == "succeeded"
    assert gate.most[""] == 1


def test_runs_of_one_key_wait_for_each_other_alone(driver: RunningDriver, workspace: Workspace, gate: Gate) -> None:
    caps = {"running_key": "kind", "max_running_per_key": 1}
    agent = make_agent(workspace, "reader", workflow="gated", caps=caps)
    begin(agent, "red-1", kind="red")
    wait_for(lambda: "red-1" in gate.began)
    second, blue = begin(agent, "red-2", kind="red"), begin(agent, "blue-1", kind="blue")
    wait_for(lambda: "blue-1" in gate.began)
    assert until_waiting(second).reason == "waiting: 1 of 1 runs of agent reader with kind=red are running"
    cancelled = begin(agent, "red-3", kind="red")
    until_waiting(cancelled)
    cancel_run(cancelled, by=None)
    gate.let("red-1")
    wait_for(lambda: "red-2" in gate.began)
    for name in ("red-2", "blue-1"):
        gate.let(name)
    assert {until(run.pk).status for run in (second, blue)} == {"succeeded"}
    assert gate.most["red"] == 1
    assert "red-3" not in gate.began


def test_a_paused_run_lets_others_pass(driver: RunningDriver, workspace: Workspace, gate: Gate) -> None:
    agent = make_agent(workspace, "reader", workflow="gated", caps={"max_running": 1})
    begin(agent, "a")
    wait_for(lambda: "a" in gate.began)
    paused, last = begin(agent, "b"), begin(agent, "c")
    for run in (paused, last):
        until_waiting(run)
    pause_run(paused, by=None)
    gate.let("a")
    wait_for(lambda: "c" in gate.began)
    resume_run(paused, by=None)
    wait_for(lambda: Run.objects.get(pk=paused.pk).reason.startswith("waiting: 1 of 1"))
    for name in "bc":
        gate.let(name)
    assert until(paused.pk).status == "succeeded"
    assert gate.most[""] == 1


def test_a_cap_that_is_set_counts_those_at_work_and_one_that_is_lifted_lets_all_go(
    driver: RunningDriver, workspace: Workspace, gate: Gate
) -> None:
    agent = make_agent(workspace, "reader", workflow="gated")
    for name in "ab":
        begin(agent, name)
    wait_for(lambda: len(gate.began) == 2)
    Workspace.objects.filter(pk=workspace.pk).update(max_running=1)
    wait_for(lambda: RunPermit.objects.count() == 2, "those at work to be counted")
    late = begin(agent, "c")
    said = "waiting: 2 runs of this workspace are running, more than the 1 allowed"
    assert until_waiting(late).reason == said
    Workspace.objects.filter(pk=workspace.pk).update(max_running=None)
    wait_for(lambda: "c" in gate.began)


def test_places_die_with_their_worker(workspace: Workspace) -> None:
    dead = make_worker(host_id="elsewhere", seen=-1e9)
    agent = make_agent(workspace, "reader", caps={"max_running": 1})
    values: dict[str, Any] = {"workspace": workspace, "agent_version": agent.current, "epoch": 1}
    held = make_run(status=RunStatus.RUNNING, worker=dead, rank=1, **values)
    group = admission.group_of(workspace.pk, agent.pk, {"max_running": 1}, None)
    assert admission.admit([admission.Asking(held.pk, 1, group, "reader")]) == {}
    waiting = make_run(status=RunStatus.WAITING, rank=2, **values)
    Wait.objects.create(run=waiting, kind="place", name=group.name)
    assert admission.give_places().queued == 0
    assert reaping.reap() == 1
    # Of those that wait the dead worker's run is not one: it has no place any more and asks for it when it is claimed.
    assert admission.give_places().queued == 1
    assert Run.objects.get(pk=waiting.pk).status == "queued"
    assert RunPermit.objects.get().run_id == waiting.pk
    living = make_worker()
    Run.objects.filter(pk=held.pk).update(status="running", worker=living, epoch=3)
    refused = admission.admit([admission.Asking(held.pk, 3, group, "reader")])
    assert refused[held.pk].key == "1 of 1 runs of agent reader are running"
    # The place that was given is the woken run's, in the epoch into which it is claimed.
    Run.objects.filter(pk=waiting.pk).update(status="running", worker=living, epoch=2)
    assert admission.admit([admission.Asking(waiting.pk, 2, group, "reader")]) == {}
    Worker.objects.filter(pk=living.pk).delete()


def test_values_of_keys_are_told_apart_and_fit() -> None:
    caps = {"running_key": "customer", "max_running_per_key": 1}
    values: list[Any] = ["a", "b", 1, [1], "x" * 500, "x" * 501, "\x00", "\ud83d\ude00" * 40, '"' * 59, {"a": None}]
    groups = [admission.group_of(2**62, 2**62, {**caps, "max_running": 2**31}, {"customer": value}) for value in values]
    assert len({group.name for group in groups}) == len(values)
    assert all(len(group.name) <= 200 and len(group.key) <= 150 for group in groups)
    assert [admission.read_group(group.name) for group in groups] == groups
    for input in ({"customer": None}, {}, "text", None):
        assert admission.group_of(1, 2, caps, input).caps == []
