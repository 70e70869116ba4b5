"""The tool `vector_search`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.builtin.search_documents import shown
from tools.registry import tool
from tools.types import ToolContext, ToolOutput


@tool(effect="none", trust="untrusted", kind="search", timeout=60, limits=["vector:documents", "cpu"])
async def vector_search(
    context: ToolContext,
    query: Annotated[str, Field(min_length=1, max_length=2000)],
    limit: Annotated[int, Field(ge=1, le=20)] = 6,
) -> ToolOutput:
    """Find the passages of this workspace's documents that are most like a text, also where their words differ in form.

    Args:
        query: A sentence or two that say what the passage should be about.
        limit: How many passages to give at most.
    """
    return shown(query, await context.search_alike(query, limit))
