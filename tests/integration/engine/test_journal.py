"""The journal when the database does not play along: lost answers, outages, refused values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from agents.engine import Context, StepFailed, workflow
from agents.engine.journal import postgres, sqlite
from agents.engine.journal.store import Store, Unavailable
from agents.engine.outages import Outage
from agents.engine.recording import finish_step, record_step
from agents.engine.records import Batch
from agents.models import Inbox, Run, Step
from tests.driving import RunningDriver, kinds, steps_of, until, wait_for

Queue = Callable[..., UUID]
StartDriver = Callable[..., RunningDriver]


def store_class() -> type[Store]:
    return sqlite.SqliteStore if connection.vendor == "sqlite" else postgres.PostgresStore


@workflow("journal-child")
async def child(ctx: Context, input: Any) -> Any:
    return await ctx.step("child", lambda n: n * 10, input["n"])


@workflow("journal-flow")
async def flow(ctx: Context, input: Any) -> Any:
    found = [await ctx.step("count", lambda n: n, n) for n in range(5)]
    found += await ctx.gather(*(ctx.call("journal-child", {"n": n}) for n in range(3)))
    await ctx.emit("half")
    await ctx.sleep(0.1)
    return [*found, await ctx.step("last", lambda: "end")]


EXPECTED = [0, 1, 2, 3, 4, 0, 10, 20, "end"]


@pytest.fixture(autouse=True)
def known(own_workflows: None) -> None:
    workflow("journal-child")(child)
    workflow("journal-flow")(flow)


def check(run_id: UUID) -> None:
    """Everything stands in the tables, and once."""
    run = until(run_id)
    assert (run.status, run.output) == ("succeeded", EXPECTED)
    told = kinds(run_id)
    assert told.count("step_finished") == 5 + 3 + 1 + 1
    assert told.count("progress") == 1
    assert run.steps_done == 10
    assert set(Step.objects.filter(run_id=run_id).values_list("status", flat=True)) == {"succeeded"}
    assert Run.objects.filter(parent_id=run_id).count() == Inbox.objects.filter(run_id=run_id).count() == 3


@contextmanager
def every_answer_lost(monkeypatch: pytest.MonkeyPatch, every: int) -> Iterator[list[int]]:
    """After every n-th real commit the answer is lost."""
    stock = store_class().write
    lost: list[int] = []
    count = 0

    def write(self: Store, worker_id: int, batch: Batch, now: Any) -> Any:
        nonlocal count
        result = stock(self, worker_id, batch, now)
        count += 1
        if count % every == 0:
            lost.append(batch.number)
            raise Unavailable("the answer to COMMIT was lost")
        return result

    with monkeypatch.context() as patch:
        patch.setattr(store_class(), "write", write)
        yield lost


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_lost_answer_to_commit_is_found_by_the_batchs_number(
    start_driver: StartDriver, queue: Queue, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    monkeypatch.setattr("agents.engine.journal.journal.FIRST_PAUSE", 0.005)
    with every_answer_lost(monkeypatch, every) as lost:
        driver = start_driver()
        ids = [queue("journal-flow") for _ in range(3)]
        for run_id in ids:
            check(run_id)
        driver.stop()
    assert len(lost) > 3


def test_what_was_postponed_is_not_taken_for_committed_after_a_lost_answer(
    start_driver: StartDriver, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row held elsewhere and a lost answer in the same batch."""
    monkeypatch.setattr("agents.engine.journal.journal.FIRST_PAUSE", 0.005)
    lock = store_class().lock_runs
    turn = 0

    def some_held(self: Store, ids: Any) -> Any:
        nonlocal turn
        turn += 1
        rows = lock(self, ids)
        return {} if turn % 2 else rows

    with every_answer_lost(monkeypatch, 1):
        monkeypatch.setattr(store_class(), "lock_runs", some_held)
        driver = start_driver()
        run_id = queue("journal-flow")
        check(run_id)
        driver.stop()


def test_postponed_changes_are_written_in_their_order(
    start_driver: StartDriver, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = store_class().lock_runs
    held: list[int] = []

    def some_held(self: Store, ids: Any) -> Any:
        rows = lock(self, ids)
        held.append(1)
        return {id: row for n, (id, row) in enumerate(rows.items()) if (n + len(held)) % 3}

    monkeypatch.setattr(store_class(), "lock_runs", some_held)
    start_driver()
    for run_id in [queue("journal-flow") for _ in range(5)]:
        check(run_id)


def test_an_outage_is_waited_for(start_driver: StartDriver, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    is_away = False
    for name in ("write", "histories", "messages", "watch", "last_batch", "large"):
        stock = getattr(store_class(), name)

        def call(self: Store, *args: Any, _stock: Any = stock) -> Any:
            if is_away:
                raise Unavailable("connection refused", Outage.AWAY)
            return _stock(self, *args)

        monkeypatch.setattr(store_class(), name, call)
    running = start_driver()
    until(queue("journal-flow"))
    is_away = True
    run_id = queue("journal-flow")
    wait_for(lambda: running.driver and running.driver.journal.outage is Outage.AWAY, "the journal to notice")
    assert Run.objects.get(pk=run_id).status == "queued"
    is_away = False
    check(run_id)
    assert running.driver is not None
    assert running.driver.journal.outage is None
    running.stop()


def test_a_terminated_session_is_replaced(driver: RunningDriver, queue: Queue) -> None:
    if connection.vendor == "sqlite":
        return
    ids = [queue("journal-flow") for _ in range(20)]
    for _ in range(10):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'agentsite journal'"
            )
    for run_id in ids:
        check(run_id)


def test_a_refused_value_fails_only_its_own_step(
    driver: RunningDriver, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step whose record the database refuses, among runs that are written in the same batches."""
    stock = finish_step

    def finish(x: Any, record: Any, text: str, **changes: Any) -> Any:
        if record.name == "poisoned":
            changes["input_tokens"] = 2**70
        return stock(x, record, text, **changes)

    monkeypatch.setattr("agents.engine.stepping.finish_step", finish)

    @workflow("poisoned")
    async def poisoned(ctx: Context, input: Any) -> Any:
        await ctx.step("fine", lambda: 1)
        try:
            await ctx.step("poisoned", lambda: 2)
        except StepFailed as error:
            return [error.type, await ctx.step("after", lambda: 3)]

    healthy = [queue("journal-flow") for _ in range(5)]
    bad = [queue("poisoned") for _ in range(3)]
    for run_id in bad:
        assert until(run_id).output == ["NotEncodable", 3]
        assert steps_of(run_id)["poisoned#0"].status == "failed"
        kinds(run_id)
    for run_id in healthy:
        check(run_id)


def test_a_refused_value_that_nobody_awaits_fails_the_run(
    driver: RunningDriver, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The progress rides along unawaited; the run must neither lose it in silence nor be stuck."""
    stock = record_step

    def record(x: Any, key: str, plan: Any, **values: Any) -> Any:
        if plan.name == "bad":
            values["input_tokens"] = 2**70
        return stock(x, key, plan, **values)

    monkeypatch.setattr("agents.engine.context.record_step", record)

    @workflow("bad-progress")
    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.emit("bad")
        if input["sleeps"]:
            await ctx.sleep(0.3)
        return 1

    for sleeps in (True, False):
        run = until(queue("bad-progress", {"sleeps": sleeps}))
        assert run.status == "failed"
        kinds(run.pk)


@pytest.mark.fault(47)
@pytest.mark.parametrize("name", ["x" * 700, "with/slash", "nul\x00", "lone\ud800", "line\nbreak"])
def test_any_name_of_a_step_is_taken_the_same_on_both_databases(driver: RunningDriver, queue: Queue, name: str) -> None:
    @workflow("named")
    async def named(ctx: Context, input: Any) -> Any:
        first = await ctx.gather(ctx.step(name, lambda: 1), ctx.step(name, lambda: 2))
        await ctx.sleep(0.1)
        return [*first, await ctx.step(name, lambda: 3)]

    run = until(queue("named"))
    assert run.output == [1, 2, 3], run.error
