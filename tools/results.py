"""What a tool returned, brought into one form."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from tools.errors import BadResult, ToolFailed
from tools.files import file_name
from tools.text import clean_json, clean_text, shorten
from tools.types import Citation, File, ToolOutput

MAX_TEXT = 100_000
"""Characters of a result that a model gets to read; more would only push the rest out of its sight."""

MAX_DATA = 1_000_000
"""Bytes of a result's JSON: every step's outcome is kept, and read again at each resume."""

MAX_FILE = 20_000_000
"""Bytes of the file that comes with a result."""


def to_output(tool: str, result: Any) -> ToolOutput:
    """Make a ToolOutput of text, of JSON, of a pydantic model or of a ToolOutput; clean it and keep it in bounds."""
    output = _wrapped(result)
    try:
        data = clean_json(output.data)
    except (TypeError, ValueError) as error:
        raise BadResult(f"The tool {tool} returned what can't be kept: {error}.") from error
    written = json.dumps(data, ensure_ascii=False)
    if len(written.encode()) > MAX_DATA:
        raise ToolFailed(f"The result of {tool} is too large: more than {MAX_DATA:,} bytes. Ask for less at a time.")
    if output.file is not None and len(output.file.content) > MAX_FILE:
        raise ToolFailed(f"The file that {tool} gives is too large: more than {MAX_FILE:,} bytes.")
    text, extension = (clean_text(output.text), ".txt") if output.text or data is None else (written, ".json")
    citations = tuple(_clean_citation(citation) for citation in output.citations)
    whole = output.file or _whole(tool, text, extension)
    return ToolOutput(shorten(text, MAX_TEXT), data, citations, file=whole)


def _whole(tool: str, text: str, extension: str) -> File | None:
    """Give a file with all of a text that is shown in part; of what no file takes, the beginning."""
    if len(text) <= MAX_TEXT:
        return None
    content = text.encode("utf-8", "replace")
    if len(content) > MAX_FILE:
        content = shorten(text, MAX_FILE // 5).encode("utf-8", "replace")
    kind = "application/json" if extension == ".json" else "text/plain"
    return File(file_name(tool, text, extension), kind, content)


def _wrapped(result: Any) -> ToolOutput:
    match result:
        case ToolOutput():
            return result
        case str():
            return ToolOutput(result)
        case BaseModel():
            return ToolOutput("", result.model_dump(mode="json"))
    return ToolOutput("", result)


def _clean_citation(citation: Citation) -> Citation:
    return Citation(
        source=clean_text(citation.source),
        title=clean_text(citation.title),
        quote=clean_text(citation.quote),
        locator=clean_text(citation.locator),
    )
