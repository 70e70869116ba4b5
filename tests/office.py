"""Tools and workflows of an office, for tests with real processes; imported by the product alone, as TOOL_MODULES says.

A letter is a line in the file EFFECTS, appended at once.
"""

from __future__ import annotations

import time
from typing import Any

from agents.engine import Context, workflow
from tests.workflows import witness
from tools import tool

TIMEOUT = 3.0


@tool(effect="unsafe", trust="trusted", kind="act", timeout=TIMEOUT)
def send_letter(to: str, text: str, copies: int = 1) -> str:
    """Send a letter.

    Args:
        to: The name of who gets it.
        text: What it says.
        copies: How many.
    """
    witness(to, text, copies)
    if text == "slow":
        # After the effect: whoever kills the worker now leaves nobody who knows of it.
        time.sleep(TIMEOUT * 10)
    return f"A letter to {to} was sent."


@workflow("delegate")
async def delegate(ctx: Context, input: Any) -> Any:
    """Have the clerk do it."""
    return await ctx.call("clerk", input)


@workflow("write")
async def write(ctx: Context, input: Any) -> Any:
    """Send a letter without having read anything."""
    return (await ctx.tool("send_letter", **input)).text


@workflow("survey")
async def survey(ctx: Context, input: Any) -> Any:
    """Ask a person, by a form."""
    form = {
        "type": "object",
        "properties": {"harbour": {"enum": ["north", "south"]}, "hours": {"type": "integer", "minimum": 1}},
        "required": ["harbour", "hours"],
    }
    return await ctx.ask("Which harbour, and for how long?", form)
