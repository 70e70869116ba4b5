"""What computes in a worker takes turns, counts for the limit `cpu`, and holds up neither other runs nor heartbeats."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from agents.engine import Context, workflow
from agents.engine.messages import user
from agents.engine.ports import ModelRequest, Ports
from agents.engine.worker_settings import WorkerSettings
from agents.llm import ModelAccess
from agents.llm.offline import model as offline
from agents.models import Run, Wait, Worker, Workspace
from agents.queue.worker_process import SWITCH_INTERVAL
from agents.scripted import MemoryArtifacts, ScriptedTools
from agents.services.documents import add_document
from agents.services.runs import start_run
from agents.services.vectors import find_alike
from tests.driving import QUICK, Partials, RunningDriver, until, wait_for
from tools.limits.limiter import limiter
from tools.models import Limit
from tools.threads import compute

HEAVY = "word " * 2_000


class Ranking:
    """Ranks for as long as it is let, and as hard as it can; it counts how many rank at the same time."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.begun = 0
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def answer(self, request: ModelRequest) -> Any:
        with self._lock:
            self.begun += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        while not self.is_over.is_set():
            sum(range(10_000))
        with self._lock:
            self.at_once -= 1
        return offline._message("ranked")


@pytest.fixture
def ranking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ranking]:
    made = Ranking()
    monkeypatch.setattr(offline, "_reply", made.answer)
    yield made
    made.is_over.set()


@pytest.fixture
def driver(workspace: Workspace, ranking: Ranking) -> Iterator[RunningDriver]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    ports = Ports(ModelAccess(limits=limiter), ScriptedTools(), Partials(), MemoryArtifacts())
    running = RunningDriver(ports, WorkerSettings(**QUICK))
    yield running
    ranking.is_over.set()
    running.stop()
    sys.setswitchinterval(interval)


@workflow("computing_ranks")
async def ranks(ctx: Context, input: Any) -> str:
    """Have the offline model read much."""
    return (await ctx.think([user(HEAVY)], model="offline")).text


@workflow("computing_steps")
async def steps(ctx: Context, input: Any) -> None:
    """Take some steps that wait for the database."""
    for _ in range(10):
        await ctx.step("light", int)


def _start(workspace: Workspace, name: str) -> Run:
    return start_run(workspace=workspace, workflow=name, input={}, by=None)


def test_heavy_rankings_take_turns_and_hold_up_nobody(
    workspace: Workspace, ranking: Ranking, driver: RunningDriver
) -> None:
    heavy = [_start(workspace, "computing_ranks") for _ in range(3)]
    wait_for(lambda: ranking.begun, "a ranking to begin")
    beat = Worker.objects.get(pk=driver.worker_id).heartbeat_at
    for _ in range(2):
        assert until(_start(workspace, "computing_steps").pk).status == "succeeded"
    wait_for(lambda: Worker.objects.get(pk=driver.worker_id).heartbeat_at > beat, "a heartbeat")
    assert (ranking.begun, ranking.is_over.is_set()) == (1, False)
    assert set(Run.objects.filter(pk__in=[run.pk for run in heavy]).values_list("status", flat=True)) == {"running"}
    ranking.is_over.set()
    assert [until(run.pk).output for run in heavy] == ["ranked"] * 3
    assert ranking.most_at_once == 1


def test_a_limit_on_computing_holds_for_rankings(workspace: Workspace, ranking: Ranking, driver: RunningDriver) -> None:
    Limit.objects.create(workspace=workspace, name="cpu", at_once=1)
    heavy = [_start(workspace, "computing_ranks") for _ in range(2)]
    wait_for(lambda: Wait.objects.filter(kind="slot", name="cpu").exists(), "one of them to wait")
    (waiting,) = Run.objects.filter(status="waiting")
    assert waiting.reason.startswith("waiting: limit cpu")
    assert until(_start(workspace, "computing_steps").pk).status == "succeeded"
    ranking.is_over.set()
    assert [until(run.pk).output for run in heavy] == ["ranked"] * 2


def test_vectors_are_made_when_nothing_else_computes(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    add_document(workspace=workspace, title="Leases", text="A lease is a right for a time.", by=None)
    holds, found = threading.Event(), threading.Event()

    def search() -> None:
        try:
            assert find_alike(workspace.pk, "leases", 1)
            found.set()
        finally:
            connections.close_all()

    def hold() -> None:
        searching = threading.Thread(target=search)
        searching.start()
        holds.set()
        assert not found.wait(0.3)

    asyncio.run(compute(hold))
    assert holds.is_set()
    assert found.wait(20)
