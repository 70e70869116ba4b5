"""Tools that have a process of their own, and what can go wrong in one; imported by the product as TOOL_MODULES says.

Each leaves a line in the file EFFECTS when it begins: its label and the id of its process.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from agents.engine import Context, StepFailed, workflow
from tests.workflows import witness
from tools import Retry, ToolContext, tool

TWICE = Retry(max_attempts=2, first=0.1)


def begins(label: str) -> int:
    """Leave a line; give how often one with this label began."""
    witness(label, os.getpid())
    lines = Path(os.environ["EFFECTS"]).read_text().splitlines()
    return sum(line.split()[0] == label for line in lines)


@tool(effect="none", trust="trusted", isolation="process", timeout=60, retry=TWICE)
def crunch(context: ToolContext, label: str, seconds: float) -> dict[str, Any]:
    """Compute for a while, and tell how far it is."""
    begins(label)
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        context.progress(f"{passed:.1f} of {seconds:.1f} s", passed / seconds)
        time.sleep(0.05)
    return {"label": label, "host": os.environ["WORKER_HOST"], "pid": os.getpid()}


@tool(effect="none", trust="trusted", isolation="process", memory=64, timeout=60, retry=TWICE)
def eat(label: str) -> str:
    """Take more and more memory."""
    begins(label)
    eaten = []
    while True:
        eaten.append(bytearray(8 * 1024 * 1024))


@tool(effect="none", trust="trusted", isolation="process", timeout=1, retry=TWICE)
async def ignore(label: str) -> str:
    """Never return, and let nobody break it off."""
    begins(label)
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            continue


@tool(effect="none", trust="trusted", isolation="process", timeout=600, retry=TWICE)
def stumble(label: str) -> str:
    """Take for ever at the first attempt, and no time at the next."""
    if begins(label) == 1:
        time.sleep(600)
    return os.environ["WORKER_HOST"]


@tool(effect="unsafe", trust="trusted", isolation="process", timeout=600)
def pour(label: str) -> str:
    """Do what can't be undone, and take for ever over it."""
    begins(label)
    time.sleep(600)
    return "poured"


@tool(effect="none", trust="trusted", isolation="process", timeout=60)
async def keep(context: ToolContext, text: str) -> str:
    """Keep a file."""
    await context.save_file("kept.txt", text.encode(), "text/plain")
    return "kept"


@workflow("smelt")
async def smelt(ctx: Context, input: Any) -> Any:
    """Call tools side by side; give what each answered, or how it failed."""

    async def call(name: str, arguments: dict[str, Any]) -> Any:
        try:
            result = await ctx.tool(name, **arguments)
        except StepFailed as failure:
            return [failure.type, failure.message]
        return result.data if result.data is not None else result.text

    return await ctx.gather(*(call(name, arguments) for name, arguments in input))
