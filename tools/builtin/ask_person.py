"""The tool `ask_person`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.errors import ToolFailed
from tools.registry import tool

MAX_CHOICES = 20


@tool(effect="none", trust="trusted", kind="act", approval="never", durable="ask")
async def ask_person(
    question: Annotated[str, Field(min_length=1, max_length=2000)],
    choices: Annotated[list[str], Field(max_length=MAX_CHOICES)] = [],  # noqa: B006 (read, never changed)
) -> str:
    """Ask a person of the workspace a question that only a person can answer, and wait for the answer.

    Args:
        question: The question, with all that is needed to answer it.
        choices: The possible answers, if there are few.
    """
    # The workflow asks, by a step that parks the run: whoever calls this as an ordinary tool has nobody to ask.
    raise ToolFailed("A question to a person does not fit into one tool call; ctx.ask is for that.")
