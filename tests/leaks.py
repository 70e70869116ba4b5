"""A tool and a workflow that do their best to spill a secret, for tests with real processes."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
from pathlib import Path
from typing import Any

from agents.engine import Context, Retry, StepFailed, workflow
from agents.engine.messages import ToolCall, user
from tools import Citation, NoEffect, ToolContext, ToolFailed, ToolOutput, ToolRetry, tool

WAYS = ("result", "large", "failed", "retry", "no_effect", "bug", "log")
SECRET = "shop"


@tool(effect="none", trust="untrusted", timeout=20)
async def leak(context: ToolContext, way: str) -> ToolOutput:
    """Spill a secret in the way that is asked for."""
    value = await context.secret(SECRET)
    spilled = f"{value} {base64.b64encode(f'user:{value}'.encode()).decode()}"
    match way:
        case "result":
            return ToolOutput(spilled, {value: [spilled]}, (Citation(f"http://x/?{value}", value, spilled),))
        case "large":
            return ToolOutput("large", [spilled] * (850_000 // len(spilled)))
        case "failed":
            raise ToolFailed(spilled)
        case "retry":
            raise ToolRetry(spilled, retry_after=0.01)
        case "no_effect":
            raise NoEffect(spilled)
        case "bug":
            raise KeyError(spilled)
    logging.getLogger("shop").error("it is %s", spilled, extra={"key": value})
    try:
        raise KeyError(spilled)
    except KeyError:
        logging.getLogger("shop").exception("and so")
    return ToolOutput("logged")


@workflow("leaks")
async def leaks(ctx: Context, input: Any) -> Any:
    """Spill the secret in all ways, tell what came of it, wait for the keys to be changed, spill it once more."""
    told: list[Any] = []
    for way in WAYS:
        try:
            told.append((await ctx.tool("leak", way=way, retry=Retry(max_attempts=2, first=0.01))).text[:1000])
        except StepFailed as failure:
            told.append(f"{failure.type}: {failure.message}")
    # Read by the model, and quoted by a provider that refuses the key.
    answer = await ctx.tool(ToolCall("1", "leak", {"way": "result"}))
    try:
        await ctx.think([user(str(told)), user(answer.text)], model="test:small", retry=Retry(max_attempts=1))
    except StepFailed as failure:
        told.append(f"{failure.type}: {failure.message}")
    await ctx.emit("told", told)
    while not await ctx.step("look", _is_there, os.environ["KEYS_CHANGED"]):
        await ctx.sleep(0.2)
    return [*told, (await ctx.tool("leak", way="result")).text]


async def _is_there(path: str) -> bool:
    return await asyncio.to_thread(Path(path).exists)
