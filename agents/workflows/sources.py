"""The sources a run has read, numbered, and the citations of its answer.

A model is shown numbers and writes them as [3]; the answer keeps only those it used, numbered anew from 1, each with
the step that fetched it, and with the run of that step where it was another one's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from agents.engine.canonical import JSON
from agents.engine.messages import Citation, Reply, ToolResult

MAX_QUOTE = 400
MAX_SHOWN_TITLE = 80

Origin = dict[str, str]
"""Who read a source: the step, and the run if it was another one."""

_MARK = re.compile(r"(?<![\w\]])\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\](?!\()")
_URL = re.compile(r"\]\((https?://[^\s)]+)\)|<(https?://[^\s>]+)>|(?<![(<\w])(https?://[^\s<>\"'`]+)")
_CODE = re.compile(r"(```.*?```|~~~.*?~~~|`[^`\n]*`)", re.DOTALL)


@dataclass(slots=True)
class Sources:
    """All that was read so far, in order; number n is at n - 1."""

    _read: list[tuple[Citation, Origin]] = field(default_factory=list)
    _numbers: dict[Citation, int] = field(default_factory=dict)

    def add(self, result: ToolResult) -> list[int]:
        """Take note of what a tool has read; gives the numbers."""
        return [self._number(citation, result.step_key) for citation in result.citations]

    def take_over(self, citations: Iterable[Citation]) -> Callable[[JSON], JSON]:
        """Number what another answer cites among these; give what puts these numbers into that answer's texts."""
        numbers = [self._number(citation, citation.step) for citation in citations]

        def renumbered(match: re.Match[str]) -> str:
            cited = [int(number) for number in match[1].split(",")]
            if not all(1 <= number <= len(numbers) for number in cited):
                return match.group()
            return "".join(f"[{numbers[number - 1]}]" for number in cited)

        return lambda value: _in_texts(value, lambda text: _MARK.sub(renumbered, text))

    def show(self, result: ToolResult) -> ToolResult:
        """Give the result with the numbers under which the model may cite it."""
        numbers = dict.fromkeys(self.add(result))
        if not numbers:
            return result
        lines = [f"[{number}] {_name(self._read[number - 1][0])}" for number in numbers]
        return replace(result, text="\n".join([result.text, "", "Cite this as:", *lines]))

    def answer(self, reply: Reply) -> JSON:
        """Give the run's output: the answer's text with its citations, and as `value` what had to have a form."""
        used: dict[int, int] = {}
        if reply.output is not None:
            value = reply.output if reply.citations else _in_texts(reply.output, lambda text: self._marks(text, used))
            text = json.dumps(value, ensure_ascii=False, indent=2)
            return {"text": text, "citations": self._citations(reply, used), "value": value}
        if reply.citations:
            return {"text": reply.text, "citations": self._citations(reply, used)}
        parts = _CODE.split(reply.text)
        # Every second part is code, where brackets mean something else.
        parts[::2] = [self._renumbered(part, used) for part in parts[::2]]
        return {"text": "".join(parts), "citations": self._citations(reply, used)}

    def _citations(self, reply: Reply, used: Iterable[int]) -> list[JSON]:
        """Give those that the model made itself, else those whose numbers it used."""
        if reply.citations:
            return [self._resolved(citation) for citation in reply.citations]
        chosen = [self._read[number - 1] for number in used]
        return [{**replace(citation, quote=_short(citation.quote)).to_json(), **origin} for citation, origin in chosen]

    def _number(self, citation: Citation, step: str) -> int:
        passage = citation.passage
        if passage not in self._numbers:
            origin = {"step": citation.step, "run": citation.run} if citation.run else {"step": step}
            self._read.append((passage, origin))
            self._numbers[passage] = len(self._read)
        return self._numbers[passage]

    def _resolved(self, citation: Citation) -> JSON:
        """Give a citation that the model made itself, with the step that read its source."""
        origins = [
            origin
            for known, origin in self._read
            if known.source == citation.source and (not known.quote or citation.quote in known.quote)
        ]
        return {**citation.to_json(), **(origins[0] if origins else {"step": ""})}

    def _renumbered(self, text: str, used: dict[int, int]) -> str:
        return _URL.sub(lambda match: self._address(match, used), self._marks(text, used))

    def _marks(self, text: str, used: dict[int, int]) -> str:
        return _MARK.sub(lambda match: self._mark(match, used), text)

    def _mark(self, match: re.Match[str], used: dict[int, int]) -> str:
        numbers = [int(number) for number in match[1].split(",")]
        if not all(1 <= number <= len(self._read) for number in numbers):
            return match.group()
        return "".join(f"[{used.setdefault(number, len(used) + 1)}]" for number in numbers)

    def _address(self, match: re.Match[str], used: dict[int, int]) -> str:
        url = (match[1] or match[2] or match[3]).rstrip(".,;:!?)*_")
        number = next((n for n, (citation, _) in enumerate(self._read, 1) if citation.source == url), None)
        if number is None or number in used:
            return match.group()
        mark = f" [{used.setdefault(number, len(used) + 1)}]"
        # After the address, before the full stop that ends the sentence.
        end = match.group().rindex(url) + len(url) if match[3] else len(match.group())
        return match.group()[:end] + mark + match.group()[end:]


def listed(citations: Sequence[Citation]) -> list[str]:
    """Give a line for each citation, with its number and its passage."""
    return [
        f"[{number}] {_name(citation)}" + (f": “{_short(citation.quote)}”" if citation.quote else "")
        for number, citation in enumerate(citations, 1)
    ]


def _in_texts(value: JSON, change: Callable[[str], str]) -> JSON:
    """Give a value with all texts in it changed; numbers in lists are no marks."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_in_texts(part, change) for part in value]
    return {name: _in_texts(part, change) for name, part in value.items()} if isinstance(value, dict) else value


def _name(citation: Citation) -> str:
    title = citation.title if len(citation.title) <= MAX_SHOWN_TITLE else citation.title[: MAX_SHOWN_TITLE - 1] + "…"
    place = f"{citation.source} {citation.locator}".strip()
    return f"{title} ({place})" if title and title != citation.source else place


def _short(quote: str) -> str:
    """Cut a long passage at a word; what is left still stands verbatim in the source."""
    if len(quote) <= MAX_QUOTE:
        return quote
    cut = quote.rfind(" ", 0, MAX_QUOTE)
    return quote[: cut if cut > 0 else MAX_QUOTE]


def in_order(results: Sequence[ToolResult], sources: Sources, *, shown: bool) -> list[ToolResult]:
    """Number the sources of these results in their order; `shown` puts the numbers into what the model reads."""
    if shown:
        return [sources.show(result) for result in results]
    for result in results:
        sources.add(result)
    return list(results)
