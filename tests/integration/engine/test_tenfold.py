"""Everything ten times over: executed once, recorded once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections
from django.utils import timezone
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from agents.engine import Context, workflow
from agents.engine.journal import postgres, sqlite
from agents.engine.journal.journal import Journal
from agents.engine.journal.store import Store, Unavailable
from agents.engine.records import Batch, BatchResult
from agents.models import Delivery, Run, Step
from agents.queue import deliveries
from agents.queue.broker import RunBroker
from tests.driving import RunningDriver, kinds, until

Queue = Callable[..., UUID]
TIMES = 10


class Refusals:
    """Lets every batch be written ten times, each answer but the last being lost; counts what the tables refused."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.counts: Counter[int] = Counter()
        self.looks: Counter[int] = Counter()
        store = sqlite.SqliteStore if connection.vendor == "sqlite" else postgres.PostgresStore
        self.write, self.look = store.write, Journal._already_written
        patch.setattr(store, "write", lambda *args: self._write(*args))
        patch.setattr(Journal, "_already_written", lambda *args: self._look(*args))
        for pause in ("FIRST_PAUSE", "LONGEST_PAUSE"):
            patch.setattr(f"agents.engine.journal.journal.{pause}", 0.0)

    def _write(self, store: Store, worker_id: int, batch: Batch, now: Any) -> BatchResult:
        try:
            self.write(store, worker_id, batch, now)
        except Unavailable:
            self.counts[batch.number] += 1
            raise
        raise Unavailable("the answer was lost")

    def _look(self, journal: Journal, batch: Batch) -> BatchResult | None:
        self.looks[batch.number] += 1
        return None if self.looks[batch.number] < TIMES else self.look(journal, batch)


@pytest.mark.fault(9)
def test_claims_batches_and_hints_ten_times_over(
    start_driver: Callable[..., RunningDriver], queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed: Counter[str] = Counter()

    def act(name: str) -> str:
        executed[name] += 1
        return name

    @workflow("tenfold-child")
    async def child(ctx: Context, input: Any) -> Any:
        return await ctx.step("act", act, f"child {input['n']}")

    @workflow("tenfold")
    async def parent(ctx: Context, input: Any) -> Any:
        await ctx.step("act", act, "first", effect="unsafe")
        await ctx.emit("progress")
        return await ctx.gather(*(ctx.call("tenfold-child", {"n": n}) for n in range(2)))

    refusals = Refusals(monkeypatch)
    running = start_driver()
    run_id = queue("tenfold")
    assert running.driver is not None
    for _ in range(TIMES):
        running.driver.poke()
    run = until(run_id, seconds=40.0)
    running.stop()
    assert run.output == ["child 0", "child 1"]
    # The claims came with these batches. The last one may have been cut off by the stop.
    # Where nothing was due, the first try wrote nothing, and so the second one was not refused.
    assert {refusals.counts[number] for number in range(1, max(refusals.counts))} <= {TIMES - 1, TIMES - 2}
    assert executed == {"first": 1, "child 0": 1, "child 1": 1}
    told = Counter(kinds(run_id))
    assert (told["run_succeeded"], told["progress"], told["step_finished"]) == (1, 1, 3)
    assert run.epoch == told["run_started"]
    assert Run.objects.count() == 3
    assert Step.objects.filter(run_id=run_id).count() == 4


@pytest.mark.fault(9)
@pytest.mark.django_db(transaction=True)
def test_a_task_that_ten_ask_for_and_ten_acknowledge() -> None:
    task = {"id": "1", "name": "a task", "func": "agents.queue.tasks.poke", "args": (), "kwargs": {}}
    row = OrmQ.objects.create(key="tools", payload=SignedPackage.dumps(task), lock=timezone.now())
    together = threading.Barrier(TIMES)

    def apart(act: Callable[[], Any]) -> Any:
        try:
            together.wait(20)
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(TIMES) as threads:
        fetch = [threads.submit(apart, lambda: deliveries.fetch("tools", "a cluster")) for _ in range(TIMES)]
        assert sum(len(answer.result()) for answer in fetch) == 1
        assert Delivery.objects.get().count == 1
        acknowledge = [threads.submit(apart, lambda: RunBroker("tools").acknowledge(row.pk)) for _ in range(TIMES)]
        assert [answer.result() for answer in acknowledge] == [None] * TIMES
    assert not OrmQ.objects.exists()
    assert not Delivery.objects.exists()
