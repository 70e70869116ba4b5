"""Taking secrets out of whatever is kept or shown.

A secret is known here in the spellings in which others send it back: as it is, as JSON, URLs and HTML write it, in
Base64 at every alignment (so also within `user:password`), and line by line.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Mapping
from threading import Lock
from urllib.parse import quote, quote_plus

from tools.types import JSON

SHORTEST = 8
"""Characters below which a text can't be told from ordinary words: no secret may be shorter."""
_SHORTEST_LINE = 16


class Redactor:
    """Knows secrets, and puts their names in the place of their values."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}
        # Replaced as a whole, never changed: read by threads while others add.
        self._ordered: tuple[tuple[str, str], ...] = ()
        self._adding = Lock()

    def __bool__(self) -> bool:
        return bool(self._ordered)

    def know(self, value: str, name: str) -> None:
        """Take a secret out from now on."""
        if len(value) < SHORTEST or value in self._marks:
            return
        mark = f"[secret {name}]"
        with self._adding:
            for spelling in _spellings(value):
                self._marks.setdefault(spelling, mark)
            # The longest first: a value may be the beginning of its quoted form.
            self._ordered = tuple(sorted(self._marks.items(), key=lambda item: -len(item[0])))

    def text(self, text: str) -> str:
        """Give the text without secrets."""
        for spelling, mark in self._ordered:
            if spelling in text:
                text = text.replace(spelling, mark)
        return text

    def bytes(self, content: bytes) -> bytes:
        """Give the content of a file without secrets, as they stand in text of UTF-8."""
        for spelling, mark in self._ordered:
            content = content.replace(spelling.encode("utf-8", "replace"), mark.encode())
        return content

    def json(self, value: JSON) -> JSON:
        """Give a JSON value without secrets, in its keys as well."""
        if not self._ordered:
            return value
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(key): self.json(item) for key, item in value.items()}
            case list() | tuple():
                return [self.json(item) for item in value]
        return value


everywhere = Redactor()
"""All secrets that this process has seen, for its logs."""


def _spellings(value: str) -> Iterator[str]:
    lines = [line.strip() for line in value.splitlines()]
    for text in {value, *(line for line in lines if len(line) >= _SHORTEST_LINE)}:
        yield text
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield repr(text)[1:-1]
        yield quote(text)
        yield quote(text, safe="")
        yield quote_plus(text)
        yield html.escape(text)
        yield from _in_base64(text.encode())


def _in_base64(value: bytes) -> Iterator[str]:
    """Give what a value looks like within something encoded, whatever stands before and after it."""
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(bytes(before) + value).decode().rstrip("=")
            # The first and the last characters also hold bits of the neighbours.
            inner = text[(0, 2, 3)[before] : len(text) - (1 if (before + len(value)) % 3 else 0)]
            if len(inner) >= SHORTEST:
                yield inner
