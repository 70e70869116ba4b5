"""What workflows tell a model before anything else, and what they are asked to do."""

from __future__ import annotations

from agents.engine import Context, Permanent
from agents.engine.canonical import JSON
from agents.engine.messages import Message, system

OFFLINE = "offline"


class NeedsGoal(Permanent):
    """The input holds no goal."""


def instructions(ctx: Context, rules: str) -> Message:
    """Give the system message: the agent's own instructions, the rules of the role it plays, the date."""
    own = ctx.agent.instructions.strip() if ctx.agent else ""
    today = f"Today is {ctx.now():%A, %d %B %Y} (UTC)."
    return system("\n\n".join(part for part in (own, rules, today) if part))


def goal_of(input: JSON) -> str:
    """Give the goal that a run was started with; raises NeedsGoal."""
    goal = input.get("goal") if isinstance(input, dict) else input
    if not isinstance(goal, str) or not goal.strip():
        raise NeedsGoal('This workflow needs a goal: a text, or {"goal": "…"}.')
    return goal.strip()


def is_offline(ctx: Context) -> bool:
    """Whether the run's model is the one of rules: it reads results as they are and needs no words about them."""
    return not (ctx.agent and ctx.agent.model) or ctx.agent.model == OFFLINE
