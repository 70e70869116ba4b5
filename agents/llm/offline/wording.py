"""How the offline model words and sets what it says."""

from __future__ import annotations

import re

LEAD = "*Offline model: rule-based and extractive. It quotes what the sources say and writes nothing of its own.*"
NOTHING_FOUND = "I found nothing"
WITHOUT_SOURCE = "Without a source"
"""The heading above what stands in no source."""
SOURCES = "Sources"

_BEGINS_BLOCK = re.compile(r"\n\s*(?:\n|[-*+>#=|~`_<]|\d+[.)]\s)")


def verbatim(text: str) -> str:
    """Keep a quote's line breaks, which Markdown reads as spaces, unless a line would begin something else."""
    return one_line(text) if _BEGINS_BLOCK.search(text) else text


def one_line(text: str) -> str:
    """Give a text on one line."""
    return re.sub(r"\s*\n\s*", " ", text).strip()


def heading(text: str) -> str:
    """Set a heading."""
    return f"**{one_line(text).rstrip('.')}**"


def shortened(text: str, most: int = 120) -> str:
    """Cut a text at a word."""
    text = one_line(text)
    if len(text) <= most:
        return text
    cut = text.rfind(" ", 0, most)
    return text[: cut if cut > 0 else most] + "…"
