"""The tool `wait`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from tools.registry import tool
from tools.types import ToolContext

LONGEST = timedelta(days=30).total_seconds()
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


@tool(effect="none", trust="trusted", kind="act", durable="sleep", timeout=60)
async def wait(context: ToolContext, seconds: Annotated[float, Field(ge=0, le=LONGEST)]) -> str:
    """Wait before going on, for example until something outside has had time to change.

    Args:
        seconds: How long to wait, at most 30 days (2592000).
    """
    # Whoever calls this as an ordinary tool gets short pauses only: the context refuses what exceeds the timeout.
    await context.sleep(seconds)
    return waited_text(seconds)


def waited_text(seconds: float) -> str:
    """Say what the tool answers after this pause, whoever carried it out."""
    for size, unit in _UNITS:
        if seconds >= size:
            amount = f"{seconds / size:.1f}".removesuffix(".0")
            return f"Waited {amount} {unit}{'' if amount == '1' else 's'}."
    return f"Waited {seconds:g} second{'' if seconds == 1 else 's'}."
