"""The tools `write_artifact` and `read_artifact`: files that a run keeps."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.errors import UnsupportedContent
from tools.registry import tool
from tools.types import Citation, ToolContext, ToolOutput

MAX_CHARACTERS = 1_000_000

Name = Annotated[str, Field(min_length=1, max_length=200)]


@tool(effect="idempotent", trust="trusted", kind="act", timeout=30, approval="never")
async def write_artifact(
    context: ToolContext,
    name: Name,
    content: Annotated[str, Field(max_length=MAX_CHARACTERS)],
    media_type: Annotated[str, Field(pattern=r"^[a-z]+/[a-z0-9.+-]+$", max_length=100)] = "text/plain",
) -> ToolOutput:
    """Keep a text as a file of this run, for people to download and for later steps to read.

    Args:
        name: The name of the file, without any folder.
        content: What is in it.
        media_type: What kind of file it is, as in text/markdown or text/csv.
    """
    raw = content.encode("utf-8", "replace")
    await context.save_file(name, raw, media_type)
    return ToolOutput(f"Kept {name}, {len(raw):,} bytes.", {"name": name, "size": len(raw)})


@tool(effect="none", trust="untrusted", kind="search", timeout=30, per_run=True)
async def read_artifact(
    context: ToolContext,
    name: Name,
    start: Annotated[int, Field(ge=0)] = 0,
    length: Annotated[int, Field(ge=1, le=50_000)] = 20_000,
) -> ToolOutput:
    """Read a file that this run has kept, or a part of it.

    Args:
        name: The name of the file.
        start: The first character to give, counted from 0.
        length: How many characters to give at most.
    """
    file = await context.load_file(name)
    try:
        text = file.content.decode()
    except UnicodeDecodeError as error:
        raise UnsupportedContent(f"{name} is {file.media_type}, which is not text.") from error
    part = text[start : start + length]
    data = {"name": file.name, "media_type": file.media_type, "characters": len(text), "start": start}
    left = len(text) - start - len(part)
    cited = Citation(f"artifact:{file.name}", file.name, locator=f"{start}-{start + len(part)}")
    return ToolOutput(f"{part}\n\n[{left:,} more characters.]" if left > 0 else part, data, (cited,))
