"""The workflows that are measured; a worker knows them by WORKFLOW_MODULES=benchmarks.workflows."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from agents.engine import Context, workflow
from agents.workflows.planning import Task, TeamPlan
from agents.workflows.tasks import Board, Worker

SIX = 6
KILOBYTE = "0123456789abcdef" * 64


async def give_kilobyte() -> str:
    """Do nothing, return 1 KB."""
    return KILOBYTE


async def wait(seconds: float) -> None:
    """Wait as a model or tool call does."""
    await asyncio.sleep(seconds)


async def tell_time(after: float = 0.0) -> float:
    """Return when it started, by this machine's clock, then linger."""
    began = time.time()
    await asyncio.sleep(after)
    return began


@workflow("bench_nothing")
async def nothing(ctx: Context, input: object) -> None:
    """End at once."""


@workflow("bench_noops")
async def noops(ctx: Context, input: dict[str, int]) -> None:
    """So many steps that do nothing and return 1 KB each."""
    for _ in range(input.get("steps", SIX)):
        await ctx.step("noop", give_kilobyte)


@workflow("bench_waits")
async def waits(ctx: Context, input: dict[str, float]) -> None:
    """Six waits, one after the other."""
    for _ in range(SIX):
        await ctx.step("wait", wait, input.get("seconds", 1.0))


@workflow("bench_stamps")
async def stamps(ctx: Context, input: dict[str, float]) -> None:
    """First so many steps that do nothing, then so many that tell when they started and take a while."""
    for _ in range(int(input.get("noops", 0))):
        await ctx.step("noop", give_kilobyte)
    for _ in range(int(input.get("stamps", 1))):
        await ctx.step("stamp", tell_time, input.get("seconds", 0.0))


@workflow("bench_parked")
async def parked(ctx: Context, input: object) -> None:
    """Wait to be told, then tell the time."""
    await ctx.wait_event("go")
    await ctx.step("stamp", tell_time)


@workflow("bench_hears")
async def hears(ctx: Context, input: dict[str, Any]) -> None:
    """Wait for an event of a name, perhaps for that with a number."""
    number = input.get("number")
    await ctx.wait_event(input["name"], None if number is None else {"path": "number", "equals": number})


@workflow("bench_hears_itself")
async def hears_itself(ctx: Context, input: object) -> None:
    """Tell of an event with a name of its own, then wait for it."""
    name = f"bench.{ctx.uuid().hex}"
    await ctx.emit_event(name)
    await ctx.wait_event(name)


@workflow("bench_sleeps")
async def sleeps(ctx: Context, input: dict[str, float]) -> None:
    """Sleep, then tell the time."""
    await ctx.sleep(input["seconds"])
    await ctx.step("stamp", tell_time)


@workflow("bench_child")
async def child(ctx: Context, input: dict[str, float]) -> float:
    """Wait so many seconds; give the number back."""
    await ctx.step("wait", wait, input["seconds"])
    return input["number"]


@workflow("bench_join")
async def join(ctx: Context, input: dict[str, float]) -> int:
    """Start so many sub-runs at once; give how many answered."""
    inputs = [{"number": number, "seconds": input["seconds"]} for number in range(int(input["children"]))]
    answers = await ctx.gather(*(ctx.call("bench_child", each) for each in inputs))
    return len(set(answers))


@workflow("bench_team")
async def team(ctx: Context, input: dict[str, int]) -> int:
    """Do the tasks of a plan, all of them at once, as a team does; give how many are done."""
    count = input["tasks"]
    board = Board(ctx, "", {"worker": Worker("bench_waits")}, width=count, retries=0)
    board.put(TeamPlan(tasks=[Task(id=f"task-{number}", agent="worker", goal="Wait.") for number in range(count)]))
    await board.work(stops=True)
    return len(board.results())
