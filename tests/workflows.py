"""Workflows as a user would write them, for tests with real processes.

What their steps do to the outside world is a line in the file EFFECTS, appended at once: a witness that no kill of a
worker can make forget. WORKFLOW_VARIANT chooses how the source of `evolving` reads.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from typing import Any

from agents.engine import Context, Retry, StepFailed, workflow

VARIANT = os.environ.get("WORKFLOW_VARIANT", "first")


def witness(*words: object) -> None:
    """Append a line to the outside log, in one write."""
    line = f"{' '.join(map(str, words))}\n".encode()
    descriptor = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


async def act(run: str, key: str, seconds: float) -> str:
    """Have an effect in the middle of some waiting."""
    await asyncio.sleep(seconds / 2)
    witness(run, key)
    await asyncio.sleep(seconds / 2)
    return key


def act_in_thread(run: str, key: str, seconds: float) -> str:
    """The same, as plain blocking code."""
    time.sleep(seconds / 2)
    witness(run, key)
    time.sleep(seconds / 2)
    return key


@workflow("chain")
async def chain(ctx: Context, input: Any) -> Any:
    """One step after the other."""
    done = []
    for n in range(input["steps"]):
        how = act_in_thread if n % 5 == 0 else act
        done.append(await ctx.step("link", how, str(ctx.run_id), f"link#{n}", input["seconds"]))
    return len(done)


@workflow("branches")
async def branches(ctx: Context, input: Any) -> Any:
    """Parallel branches, each a chain, with pauses that park."""

    async def branch(b: int) -> int:
        for n in range(input["steps"]):
            key = f"gather#0/{b}/link#{n}"
            await ctx.step("link", act, str(ctx.run_id), key, input["seconds"] * (1 + b % 3))
        await ctx.sleep(0.05 * b)
        return b

    return await ctx.gather(*(branch(b) for b in range(input["branches"])))


@workflow("family")
async def family(ctx: Context, input: Any) -> Any:
    """A parent of chains."""
    await ctx.step("link", act, str(ctx.run_id), "link#0", input["seconds"])
    children = {"steps": input["steps"], "seconds": input["seconds"]}
    return await ctx.gather(*(ctx.call("chain", children) for _ in range(input["children"])))


@workflow("patient")
async def patient(ctx: Context, input: Any) -> Any:
    """A step that takes its time, between two quick ones."""
    await ctx.step("before", act, str(ctx.run_id), "before#0", 0.0)
    await ctx.step("slow", act, str(ctx.run_id), "slow#0", input["seconds"])
    return await ctx.step("after", act, str(ctx.run_id), "after#0", 0.0)


async def block(how: str) -> str:
    """Keep the event loop for itself."""
    if how == "sleep":
        time.sleep(600)
    elif how == "compute":
        while True:
            pass
    elif how == "regex":
        # Holds the interpreter's lock as well: no handler in Python would ever run.
        re.fullmatch("(a+)+b", "a" * 60)
    return how


@workflow("blocking")
async def blocking(ctx: Context, input: Any) -> Any:
    """A step that blocks the loop of its worker; the workflow goes on after its failure."""
    await ctx.step("before", act, str(ctx.run_id), "before#0", 0.0)
    try:
        await ctx.step("block", block, input["how"], retry=Retry(max_attempts=2, first=0.1))
    except StepFailed as failure:
        return [failure.type, failure.message]


async def die_in_task(by: int) -> None:
    """Kill the worker process from a task of its own, after the step has been waiting."""

    async def die() -> None:
        await asyncio.sleep(0.01)
        os.kill(os.getpid(), by)

    await asyncio.gather(die(), asyncio.sleep(60))


def die(by: int) -> None:
    """Kill the worker process from a thread."""
    os.kill(os.getpid(), by)
    time.sleep(60)


@workflow("deadly")
async def deadly(ctx: Context, input: Any) -> Any:
    """A run that kills its worker each time."""
    await ctx.step("before", act, str(ctx.run_id), "before#0", 0.0)
    await ctx.step("die", die_in_task if input.get("in_task") else die, input.get("by", 9))


def die_as_task() -> None:
    """An ordinary task that kills its worker."""
    witness("task", "died")
    os.kill(os.getpid(), 9)


def do_task(name: str) -> None:
    """An ordinary task that leaves a line."""
    witness("task", name)


@workflow("evolving")
async def evolving(ctx: Context, input: Any) -> Any:
    """A workflow whose source changes while its runs are under way."""
    names = {
        "first": ["a", "b", "c"],
        "inserted": ["a", "new", "b", "c"],
        "removed": ["a", "c"],
        "renamed": ["a", "other", "c"],
        "changed": ["a", "b", "c"],
    }[VARIANT]
    done = []
    for name in names:
        what = "changed" if VARIANT == "changed" and name == "b" else name
        done.append(await ctx.step(name, act, str(ctx.run_id), f"{name}#0", 0.0 if what == name else 0.01))
    if VARIANT == "first":
        await ctx.sleep(600)
    return [VARIANT, ctx.agent.instructions if ctx.agent else "", *done]


async def place(run: str, key: str, seconds: float) -> str:
    """Tell on which host the step was executed."""
    await act(run, key, seconds)
    return os.environ["WORKER_HOST"]


@workflow("placed")
async def placed(ctx: Context, input: Any) -> Any:
    """A chain whose outcomes tell where they are from."""
    return [
        await ctx.step("link", place, str(ctx.run_id), f"link#{n}", input["seconds"]) for n in range(input["steps"])
    ]


@workflow("errand")
async def errand(ctx: Context, input: Any) -> Any:
    """A task of a team: some steps with an effect each, and an answer that cites the last of them."""
    for n in range(3):
        await ctx.step("link", act, str(ctx.run_id), f"link#{n}", 0.1)
    found = f"{input['goal']} was done."
    return {"text": found, "citations": [{"source": "https://errands.test/", "quote": found, "step": "link#2"}]}
