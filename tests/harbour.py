"""A harbour for tests with real processes: tools whose calls are limited by the quay that they are for.

Each call is a line in the file EFFECTS, with its time on the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from agents.engine import Context, workflow
from tests.workflows import witness
from tools import Retry, ToolRetry, tool

BUSY = 15.0
"""Seconds for which the quay that is busy wants to be left alone."""
LOCK = 2
"""How many ships the lock takes at once; the first never leave, unless they come a second time."""


def seen(quay: str, number: int) -> bool:
    """Whether a ship has come to a quay before, in whichever process."""
    with open(os.environ["EFFECTS"]) as effects:
        return any(line.split()[:2] == [quay, str(number)] for line in effects)


@tool(effect="none", trust="trusted", timeout=700, limits=["quay:{quay}"], retry=Retry(max_attempts=20))
async def moor(quay: str, number: int) -> str:
    """Moor a ship.

    Args:
        quay: Where.
        number: Which ship.
    """
    comes_back = seen(quay, number)
    witness(quay, number, time.monotonic())
    if quay == "busy" and number == 0 and not comes_back:
        raise ToolRetry("the quay is busy", retry_after=BUSY)
    if quay == "lock" and number < LOCK and not comes_back:
        await asyncio.sleep(600)
    await asyncio.sleep(0.2 if quay == "lock" else 0.05)
    witness(f"left-{quay}", number, time.monotonic())
    return f"ship {number} lies at {quay}"


@tool(effect="none", trust="trusted", cache=600)
async def read_chart(water: str) -> str:
    """Read a chart.

    Args:
        water: Of which water.
    """
    witness("chart", water, time.monotonic())
    return f"a chart of the {water}"


@workflow("pilot")
async def pilot(ctx: Context, input: Any) -> Any:
    """Read a chart."""
    return (await ctx.tool("read_chart", **input)).text


@workflow("fleet")
async def fleet(ctx: Context, input: Any) -> Any:
    """Moor one ship of a fleet."""
    return (await ctx.tool("moor", **input)).text


@workflow("berth")
async def berth(ctx: Context, input: Any) -> Any:
    """Lie in a berth for a while; a convoy sends its first ship on its way by itself, as a run below its own."""
    if input.get("convoy"):
        await ctx.call("dock", {**input, "convoy": False})
    return await ctx.step("lie", lie, input["number"], input.get("seconds", 0.25))


async def lie(number: int, seconds: float) -> int:
    """Lie for so long; without a time, until somebody says that it may go."""
    witness("in", number, time.monotonic())
    await asyncio.sleep(seconds)
    while not seconds and not seen("go", number):
        await asyncio.sleep(0.05)
    witness("out", number, time.monotonic())
    return number
