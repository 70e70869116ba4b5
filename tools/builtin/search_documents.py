"""The tool `search_documents`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from tools.registry import tool
from tools.types import Citation, FoundPassage, ToolContext, ToolOutput


@tool(effect="none", trust="untrusted", kind="search", timeout=30)
async def search_documents(
    context: ToolContext,
    query: Annotated[str, Field(min_length=1, max_length=2000)],
    limit: Annotated[int, Field(ge=1, le=20)] = 6,
) -> ToolOutput:
    """Search the documents of this workspace and get the passages that fit best.

    Args:
        query: What to look for, in plain words. Passages with a whole phrase given in double quotes come first; -word
            leaves out passages with that word.
        limit: How many passages to give at most.
    """
    return shown(query, await context.search(query, limit))


def shown(query: str, passages: Sequence[FoundPassage]) -> ToolOutput:
    """Give passages as a tool's answer, cited."""
    if not passages:
        return ToolOutput(f"No document of this workspace has anything on: {query}", {"passages": []})
    return ToolOutput(
        text="\n\n".join(f"[{passage.source}] {passage.title}\n{passage.text}" for passage in passages),
        data={"passages": [_to_json(passage) for passage in passages]},
        citations=tuple(_cite(passage) for passage in passages),
    )


def _cite(passage: FoundPassage) -> Citation:
    return Citation(passage.source, passage.title, passage.text, f"{passage.start}-{passage.end}")


def _to_json(passage: FoundPassage) -> dict[str, object]:
    return {
        "source": passage.source,
        "title": passage.title,
        "url": passage.url,
        "text": passage.text,
        "start": passage.start,
        "end": passage.end,
        "score": round(passage.score, 4),
    }
