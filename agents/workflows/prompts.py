"""What workflows tell a model before anything else, and what they are asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.definitions.template import OPENS, as_text, names_for, render
from agents.engine import Context, Permanent
from agents.engine.canonical import JSON
from agents.engine.messages import Message, system

OFFLINE = "offline"


class NeedsGoal(Permanent):
    """The input holds no goal."""


def instructions(ctx: Context, rules: str) -> Message:
    """Give the system message: the agent's own instructions, the rules of the role it plays, the date.

    Where the instructions are a template, the run's input has its places in it.
    """
    own = ctx.agent.instructions.strip() if ctx.agent else ""
    if ctx.agent and OPENS in own:
        own = render(own, ctx.input, names_for(ctx.agent.input_schema))
    today = f"Today is {ctx.now():%A, %d %B %Y} (UTC)."
    return system("\n\n".join(part for part in (own, rules, today) if part))


def goal_of(input: JSON, schema: Mapping[str, Any] | None = None) -> str:
    """Give the goal that a run was started with; raises NeedsGoal.

    An agent whose schema knows of no goal is given all of its input, a line for each value.
    """
    goal = input.get("goal") if isinstance(input, dict) else input
    if schema is not None and "goal" not in names_for(schema) and isinstance(input, dict):
        goal = "\n".join(f"{name}: {as_text(value)}" for name, value in input.items())
    if not isinstance(goal, str) or not goal.strip():
        raise NeedsGoal('This workflow needs a goal: a text, or {"goal": "…"}.')
    return goal.strip()


def is_offline(ctx: Context) -> bool:
    """Whether the run's model is the one of rules: it reads results as they are and needs no words about them."""
    return not (ctx.agent and ctx.agent.model) or ctx.agent.model == OFFLINE
