"""Where sentences stand in a text. Each is an exact span, so that what is quoted stands verbatim in its source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_SENTENCE = 600
SHORT_LINE = 60
"""A line shorter than this, followed by a capital, was ended on purpose and not by a margin."""

MAX_TITLE = 8
"""Words that an unmarked heading has at most."""

_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*$")
_MARKER = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)]|>)\s+")
_RULE = re.compile(r"^\s*(?:[-*_=]\s*){3,}$|^\s*\|?[\s:|-]+\|[\s:|-]*$")
_UNDERLINE = re.compile(r"^ {0,3}(?:={3,}|-{3,})\s*$")
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_END = re.compile(r"""[.!?…]+["'”’)\]»*_]*(?=\s)|[。！？]+[」』”]*""")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"“])(?:[A-Z]|[A-Za-z](?:\.[A-Za-z])+|Dr|Mr|Mrs|Ms|Prof|St|Sr|Jr|Rev|Gen|Col|Capt|Lt|Mt|Ft|No|Nr|"
    r"Fig|Figs|Eq|Vol|Ch|Sec|pp|approx|ca|cf|vs|etc|al|Inc|Ltd|Co|Corp|Bros|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|"
    r"Oct|Nov|Dec|max|min|bzw|usw|z\.B|d\.h|M|Mme|Sra?)\.$"
)
_STARTS_SENTENCE = re.compile(r"""\s+["'“‘(\[«*_]*[^\W_a-zà-öø-ÿ]""")


@dataclass(frozen=True, slots=True)
class Sentence:
    """Characters `start` to `end` of a text, the block they stand in, and the heading above them."""

    start: int
    end: int
    block: int
    heading: str = ""


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str


def split_sentences(text: str) -> list[Sentence]:
    """Find the sentences of a text that may be Markdown. Headings are no sentences; they go with what follows."""
    found: list[Sentence] = []
    for block, (start, end, heading) in enumerate(_blocks(text)):
        for first, last in _spans(text, start, end):
            found += [Sentence(a, b, block, heading) for a, b in _bounded(text, first, last)]
    return found


def _blocks(text: str) -> Iterator[tuple[int, int, str]]:
    """Give the stretches that read on without a break: paragraphs, list items, rows, each with its heading."""
    heading, lines, fenced = "", list[_Line](), False
    for line in _lines(text):
        if _FENCE.match(line.text):
            fenced = not fenced
            yield from _flush(lines, heading)
        elif not fenced and (match := _HEADING.match(line.text)):
            yield from _flush(lines, heading)
            heading = match.group(1)
        elif not fenced and not lines and _is_title(line.text):
            heading = line.text.strip()
        elif not line.text.strip() or _RULE.match(line.text):
            if len(lines) == 1 and _UNDERLINE.match(line.text):
                heading = lines.pop().text.strip()
            yield from _flush(lines, heading)
        else:
            if fenced or (lines and _breaks(lines[-1], line)):
                yield from _flush(lines, heading)
            marker = _MARKER.match(line.text)
            skip = marker.end() if marker else len(line.text) - len(line.text.lstrip())
            lines.append(_Line(line.start + skip, line.end, line.text))
    yield from _flush(lines, heading)


def _is_title(text: str) -> bool:
    """Does a line that stands at the beginning of a block read as a heading, though nothing marks it as one?"""
    bare = text.strip()
    if not bare or bare[-1] in ".!?:;,)\"'”" or any(char.isdigit() for char in bare) or _MARKER.match(text):
        return False
    if "|" in bare or ":" in bare:
        return False
    return bare[0].isupper() and len(bare.split()) <= (12 if bare.isupper() else MAX_TITLE)


def _flush(lines: list[_Line], heading: str) -> Iterator[tuple[int, int, str]]:
    if lines:
        yield lines[0].start, lines[-1].end, heading
        lines.clear()


def _lines(text: str) -> Iterator[_Line]:
    start = 0
    for raw in text.splitlines(keepends=True):
        content = raw.rstrip()
        yield _Line(start, start + len(content), content)
        start += len(raw)


def _breaks(before: _Line, line: _Line) -> bool:
    """Does a new block begin here, though no blank line says so?"""
    if _MARKER.match(line.text) or line.text.lstrip().startswith("|") or before.text.lstrip().startswith("|"):
        return True
    begins = line.text.lstrip()[:1]
    return len(before.text) < SHORT_LINE and (begins.isupper() or begins.isdigit())


def _spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a block into sentences."""
    at = start
    for match in _END.finditer(text, start, end):
        stop = match.end()
        if not _is_end(text, at, match.start(), stop, end):
            continue
        yield from _trimmed(text, at, stop)
        at = stop
    yield from _trimmed(text, at, end)


def _is_end(text: str, begin: int, mark: int, stop: int, end: int) -> bool:
    if text[mark] in "。！？":
        return True
    if text[mark] == "." and _ABBREVIATION.search(text[max(begin, mark - 12) : mark + 1]):
        return False
    return stop >= end or _STARTS_SENTENCE.match(text, stop, end) is not None


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if end > start:
        yield start, end


def _bounded(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut what is far too long to be quoted at a pause in it, so that each piece still stands verbatim."""
    while end - start > MAX_SENTENCE:
        window = text[start : start + MAX_SENTENCE]
        cut = max(window.rfind("; "), window.rfind(", "), window.rfind(": "))
        if cut < MAX_SENTENCE // 3:
            cut = window.rfind(" ")
        cut = MAX_SENTENCE if cut <= 0 else cut + 1
        yield from _trimmed(text, start, start + cut)
        start += cut
    yield from _trimmed(text, start, end)
