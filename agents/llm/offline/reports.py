"""Composing an answer of what other agents have reported: their quotes, each with its source.

A first draft has all that they say. What of it stands in no source is set apart when the reviewer sends it back.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from agents.llm.offline.sources import Findings, Quote, Report
from agents.llm.offline.wording import LEAD, NOTHING_FOUND, SOURCES, WITHOUT_SOURCE, heading, verbatim

Cite = Callable[[Quote], int]

_MARKED = re.compile(r"\[\d+\]")
_HEADING = re.compile(r"^(?:#{1,6}\s.*|\*\*[^\n]+\*\*)$")


def report_parts(findings: Findings, cite: Cite) -> list[str]:
    """Give the paragraphs that say what was reported."""
    parts: list[str] = []
    apart: list[str] = []
    for report in findings.reports:
        quotes = [f'> "{verbatim(quote.text)}" [{cite(quote)}]' for quote in _quotes(report)]
        remarks = _remarks(report)
        if findings.points:
            apart += remarks
            remarks = []
        said = [*quotes, *remarks] or ([] if apart else [f"{NOTHING_FOUND} on this."])
        if report.goal and said and len(findings.reports) > 1:
            parts.append(heading(report.goal))
        parts += said
    return parts + ([heading(WITHOUT_SOURCE), *apart] if apart else [])


def _quotes(report: Report) -> list[Quote]:
    return [Quote(passage, 0, len(passage.text)) for passage in report.passages]


def _remarks(report: Report) -> list[str]:
    """Give what a report says that is neither quoted nor cited: results of sums, pauses, words on what was done."""
    remarks: list[str] = []
    for paragraph in report.text.split("\n\n"):
        text = paragraph.strip()
        if text == heading(SOURCES):
            break
        if text and not (
            text == LEAD or text.startswith((">", NOTHING_FOUND)) or _MARKED.search(text) or _HEADING.match(text)
        ):
            remarks.append(text)
    return remarks
