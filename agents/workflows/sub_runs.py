"""A run of another agent, tried again when it fails: whatever comes of it is told, and nothing is raised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents.engine import Context, Permanent, StepFailed
from agents.engine.canonical import JSON

CANCELLED = "Cancelled"


@dataclass(slots=True)
class Outcome:
    """What a sub-run came to: the last one's id, and its output or its `error`, `{"type", "message"}`."""

    run: str = ""
    output: JSON = None
    error: dict[str, Any] | None = None

    @property
    def why(self) -> str:
        """Why it failed, in words."""
        return why(self.error)


async def run_agent(ctx: Context, agent: str, input: JSON, *, workflow: str = "", retries: int = 0) -> Outcome:
    """Run an agent, again if it fails; one that somebody cancelled is not tried again."""
    outcome = Outcome()
    for left in range(retries, -1, -1):
        try:
            started = await ctx.spawn(agent, input, workflow=workflow)
            outcome.run = str(started.id)
            outcome.output, outcome.error = await started.result(), None
        except StepFailed as failed:
            outcome.error = {"type": failed.type, "message": failed.message}
            if left and failed.type != CANCELLED:
                continue
        except Permanent as refused:
            outcome.error = {"type": refused.type, "message": str(refused)}
        break
    return outcome


def why(error: dict[str, Any] | None) -> str:
    """Say in words what an error is."""
    return f"{error['type']}: {error['message']}" if error else ""
