"""Cutting a text into passages that can be ranked and quoted by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

TARGET = 700
LONGEST = 1_200
_HEADING_BREAKS = 200

_PARAGRAPH_BREAK = re.compile(r"\n[^\S\n]*\n")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*(?=\s)|[。！？]|\n")
_SPACE = re.compile(r"\s+")
_HEADING = re.compile(r"#{1,6}\s")

Span = tuple[int, int]


def split(text: str) -> list[Span]:
    """Give the passages as (start, end): in order, apart, covering all that is not white space.

    Paragraphs stay whole where they fit; short ones are put together, a heading goes with what follows it.
    """
    passages: list[Span] = []
    begin = end = 0
    for start, stop in _pieces(text):
        is_heading = _HEADING.match(text, start) is not None
        breaks = stop - begin > TARGET or (is_heading and end - begin >= _HEADING_BREAKS)
        if end > begin and breaks:
            passages.append((begin, end))
            begin = start
        elif end == begin:
            begin = start
        end = stop
    if end > begin:
        passages.append((begin, end))
    return passages


def _pieces(text: str) -> Iterator[Span]:
    """Give the paragraphs, too long ones in several pieces."""
    start = 0
    for gap in _PARAGRAPH_BREAK.finditer(text):
        yield from _pieces_of(text, start, gap.start())
        start = gap.end()
    yield from _pieces_of(text, start, len(text))


def _pieces_of(text: str, start: int, stop: int) -> Iterator[Span]:
    start = _skip_space(text, start, stop)
    while stop - start > LONGEST:
        cut = _cut(text, start)
        if end := _trimmed(text, start, cut):
            yield end
        start = _skip_space(text, cut, stop)
    if piece := _trimmed(text, start, stop):
        yield piece


def _cut(text: str, start: int) -> int:
    """Give the best place for an end within the longest passage: after a sentence, a word, anywhere."""
    least, most = start + LONGEST // 4, start + LONGEST
    ends = [match.end() for match in _SENTENCE_END.finditer(text, least, most)]
    if not ends:
        ends = [match.start() for match in _SPACE.finditer(text, least, most)]
    return ends[-1] if ends else most


def _skip_space(text: str, start: int, stop: int) -> int:
    match = _SPACE.match(text, start, stop)
    return match.end() if match else start


def _trimmed(text: str, start: int, stop: int) -> Span | None:
    size = len(text[start:stop].rstrip())
    return (start, start + size) if size else None
