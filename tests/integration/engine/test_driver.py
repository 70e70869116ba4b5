"""A driver on the database: what is queued is driven, parked, woken, given back and taken over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from agents.engine import Context, Permanent, Retry, Retryable, StepFailed, workflow
from agents.engine.journal.store import Store
from agents.models import Inbox, Run, Wait, Worker, Workspace
from agents.models.worker import WorkerState
from agents.services.runs import retry_run, start_run
from tests.driving import RunningDriver, kinds, status_of, steps_of, until, wait_for
from tests.factories import make_workspace


def _has_step(run_id: UUID, key: str) -> bool:
    return key in steps_of(run_id)


Queue = Callable[..., UUID]
StartDriver = Callable[..., RunningDriver]


def test_drives_a_run_to_its_end(driver: RunningDriver, queue: Queue) -> None:
    @workflow("two")
    async def two(ctx: Context, input: Any) -> Any:
        first = await ctx.step("first", lambda n: n + 1, input["n"])
        await ctx.emit("half", {"done": first})
        return await ctx.step("second", lambda n: {"n": n + 1}, first)

    run = until(queue("two", {"n": 1}))
    assert (run.status, run.output, run.steps_done, run.worker_id) == ("succeeded", {"n": 3}, 2, None)
    told = [kind for kind in kinds(run.pk) if kind != "step_started"]  # a start is told if it was committed alone
    assert told == ["run_queued", "run_started", "step_finished", "progress", "step_finished", "run_succeeded"]
    assert {key: (step.status, step.outcome) for key, step in steps_of(run.pk).items()} == {
        "first#0": ("succeeded", 2),
        "emit:half#0": ("succeeded", None),
        "second#0": ("succeeded", {"n": 3}),
    }


@pytest.mark.parametrize("short_pause", [0.0, 2.0], ids=["parked", "in memory"])
def test_tries_a_failing_step_again(start_driver: StartDriver, queue: Queue, short_pause: float) -> None:
    start_driver(short_pause=short_pause)
    attempts: list[int] = []

    def shaky() -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise Retryable("not yet", retry_after=0.1)
        return "ok"

    @workflow("shaky")
    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("shaky", shaky, retry=Retry(max_attempts=3, first=0.1))

    run = until(queue("shaky"))
    assert (run.status, run.output, len(attempts)) == ("succeeded", "ok", 3)
    step = steps_of(run.pk)["shaky#0"]
    assert (step.status, step.attempt) == ("succeeded", 3)
    assert [entry["type"] for entry in step.attempts] == ["Retryable", "Retryable"]
    assert kinds(run.pk).count("step_retrying") == 2


def test_fails_a_run_whose_step_failed_for_good(driver: RunningDriver, queue: Queue) -> None:
    def refuse() -> None:
        raise Permanent("never", "Never")

    @workflow("refused")
    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("refuse", refuse)

    run = until(queue("refused"))
    assert run.status == "failed"
    assert run.error == {"type": "Never", "message": "never", "step": "refuse#0"}
    assert "never" in run.reason


def test_keeps_a_large_outcome_in_a_table_of_its_own(driver: RunningDriver, queue: Queue) -> None:
    big = "x" * 300_000

    @workflow("large")
    async def flow(ctx: Context, input: Any) -> Any:
        text = await ctx.step("big", lambda: big)
        await ctx.sleep(0.2)
        return len(text)

    run = until(queue("large"))
    assert run.output == 300_000
    step = steps_of(run.pk)["big#0"]
    assert step.large is not None
    assert step.outcome is None


def test_parks_a_long_sleep_and_wakes_it(driver: RunningDriver, queue: Queue) -> None:
    replays: list[int] = []

    @workflow("sleeper")
    async def flow(ctx: Context, input: Any) -> Any:
        replays.append(1)
        await ctx.sleep(0.5)
        return ctx.now().isoformat()

    run_id = queue("sleeper")
    run = until(run_id, "waiting")
    assert run.worker_id is None
    assert Wait.objects.get(run=run).kind == "timer"
    wait_for(lambda: driver.runs == 0, "its slot to be free")
    run = until(run_id)
    assert (run.status, len(replays)) == ("succeeded", 2)
    assert not Wait.objects.filter(run_id=run_id).exists()
    assert "run_woken" in kinds(run_id)


def test_calls_sub_runs_in_parallel_and_is_woken_once(driver: RunningDriver, queue: Queue) -> None:
    replays: list[int] = []
    hold = threading.Event()

    @workflow("child")
    async def child(ctx: Context, input: Any) -> Any:
        return await ctx.step("double", lambda n: hold.wait(10) and n * 2, input["n"])

    @workflow("parent")
    async def parent(ctx: Context, input: Any) -> Any:
        replays.append(1)
        return await ctx.gather(*(ctx.call("child", {"n": n}) for n in range(8)))

    run_id = queue("parent")
    run = until(run_id, "waiting")
    assert "8 sub-runs" in run.reason
    assert [(wait.kind, wait.needed) for wait in Wait.objects.filter(run=run)] == [("child", 8)]
    hold.set()
    run = until(run_id)
    assert run.output == [n * 2 for n in range(8)]
    assert len(replays) == 2
    assert kinds(run_id).count("run_waiting") == 1
    assert not Inbox.objects.filter(run_id=run_id, consumed_at=None).exists()
    children = Run.objects.filter(parent_id=run_id)
    assert {(c.status, c.depth, c.root_id, c.workspace_id) for c in children} == {
        ("succeeded", 1, run_id, run.workspace_id)
    }
    for one in children:
        assert kinds(one.pk)[0] == "run_queued"


def test_a_failed_sub_run_fails_the_call(driver: RunningDriver, queue: Queue) -> None:
    @workflow("broken")
    async def broken(ctx: Context, input: Any) -> Any:
        raise ValueError("broken inside")

    @workflow("careful")
    async def careful(ctx: Context, input: Any) -> Any:
        try:
            await ctx.call("broken")
        except StepFailed as error:
            return [error.type, error.message, error.key]

    assert until(queue("careful")).output == ["ValueError", "broken inside", "call:broken#0"]


def test_an_unknown_target_is_named(driver: RunningDriver, queue: Queue) -> None:
    @workflow("lost")
    async def lost(ctx: Context, input: Any) -> Any:
        return await ctx.call("nowhere")

    run = until(queue("lost"))
    assert run.status == "failed"
    assert "nowhere" in run.error["message"]


def test_gives_runs_back_when_it_stops(start_driver: StartDriver, queue: Queue) -> None:
    first = start_driver(grace=0.3)
    done: list[str] = []
    held = asyncio.Event()

    async def slow() -> str:
        await held.wait()
        return "never"

    async def quick() -> str:
        done.append("quick")
        return "quick"

    is_second = False

    @workflow("long")
    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.step("quick", quick)
        return await ctx.step("slow", quick if is_second else slow)

    ids = [queue("long") for _ in range(5)]
    for run_id in ids:
        wait_for(partial(_has_step, run_id, "slow#0"), "the slow step")
    worker_id = first.worker_id
    is_second = True
    first.stop()
    assert Worker.objects.get(pk=worker_id).state == WorkerState.STOPPED
    assert {status_of(run_id) for run_id in ids} == {"queued"}
    start_driver()
    for run_id in ids:
        assert until(run_id).output == "quick"
        assert steps_of(run_id)["slow#0"].attempt == 2
        assert "step_interrupted" in kinds(run_id)
    assert done.count("quick") == 10


def test_lets_steps_end_within_the_grace(start_driver: StartDriver, queue: Queue) -> None:
    driver = start_driver(grace=10.0)
    began, release = threading.Event(), threading.Event()

    def act() -> str:
        began.set()
        release.wait(10)
        return "done"

    @workflow("graceful")
    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.step("act", act)
        return await ctx.step("next", lambda: "next")

    run_id = queue("graceful")
    assert began.wait(10)
    stopping = threading.Thread(target=driver.stop)
    stopping.start()
    wait_for(lambda: Worker.objects.get(pk=driver.worker_id).state == WorkerState.DRAINING, "the drain to begin")
    release.set()
    stopping.join(10)
    assert status_of(run_id) == "queued"
    steps = steps_of(run_id)
    assert steps["act#0"].outcome == "done"
    assert "next#0" not in steps


def test_an_unknown_workflow_waits_for_a_driver_that_knows_it(driver: RunningDriver, workspace: Workspace) -> None:
    run = Run.objects.create(workspace=workspace, workflow="of-tomorrow", status="queued")
    until(run.pk, "waiting")
    run.refresh_from_db()
    assert "of-tomorrow" in run.reason

    @workflow("of-tomorrow")
    async def flow(ctx: Context, input: Any) -> Any:
        return "today"

    assert until(run.pk).output == "today"


def test_claims_by_rank_and_priority(start_driver: StartDriver, queue: Queue, workspace: Workspace) -> None:
    order: list[str] = []

    @workflow("ordered")
    async def flow(ctx: Context, input: Any) -> Any:
        order.append(input["name"])

    for name, priority in (("a", 0), ("b", 0), ("urgent", 5), ("late", -1), ("c", 0)):
        queue("ordered", {"name": name}, priority=priority)
    start_driver(slots=1, claim_at_once=1)
    wait_for(lambda: len(order) == 5, "all runs")
    assert order == ["urgent", "a", "b", "c", "late"]


@pytest.mark.fault(20)
def test_one_workspaces_backlog_does_not_delay_anothers_first_run(
    start_driver: StartDriver, store: Store, workspace: Workspace
) -> None:
    order: list[str] = []

    @workflow("shared")
    async def flow(ctx: Context, input: Any) -> Any:
        order.append(input["name"])

    with store.transaction():
        ranks = store.next_ranks(workspace.pk, 10_000)
    # In the next moment, however long it takes to write so many rows here.
    start_run(workspace=make_workspace(), workflow="shared", input={"name": "other"})
    Run.objects.bulk_create(
        Run(workspace=workspace, workflow="shared", status="queued", rank=rank, input={"name": f"backlog-{n}"})
        for n, rank in enumerate(ranks)
    )
    start_driver(slots=1, claim_at_once=1)
    wait_for(lambda: "other" in order, "the other's run")
    assert order.index("other") < 10
    assert order[0] == "backlog-0"


def test_waits_until_not_before(driver: RunningDriver, queue: Queue) -> None:
    @workflow("later")
    async def flow(ctx: Context, input: Any) -> Any:
        return "now"

    due = timezone.now() + timedelta(seconds=0.4)
    run_id = queue("later", not_before=due)
    assert status_of(run_id) == "waiting"
    run = until(run_id)
    assert run.started_at is not None
    assert run.started_at >= due


@pytest.mark.parametrize("broken", ["message", "tools"])
def test_a_run_whose_record_can_not_be_read_fails_and_holds_no_other_up(
    driver: RunningDriver, queue: Queue, broken: str
) -> None:
    @workflow("plain")
    async def plain(ctx: Context, input: Any) -> Any:
        return 1

    with transaction.atomic():
        unreadable, good = queue("plain"), queue("plain")
        Run.objects.filter(pk=unreadable).update(**{"wakes": 1} if broken == "message" else {"tools": 7})
        if broken == "message":
            # An entry for the log of a form that no version ever wrote.
            Inbox.objects.create(run_id=unreadable, name="log", token="t", data="not a pair")
    assert until(good).status == "succeeded"
    failed = until(unreadable)
    assert failed.status == "failed"
    assert failed.error["type"] in ("ValueError", "TypeError")
    assert kinds(unreadable) == ["run_queued", "run_failed"]

    Inbox.objects.filter(run_id=unreadable).delete()
    Run.objects.filter(pk=unreadable).update(tools=None)
    retry_run(failed, by=None)
    assert until(unreadable).status == "succeeded"
