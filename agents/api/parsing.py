"""JSON bodies: read once, strictly, and bounded. What one of the databases would refuse is refused here, for both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from agents.api.problems import PayloadTooLarge

MEBIBYTE = 1024 * 1024
DEFAULT_LIMIT = MEBIBYTE
MAX_DEPTH = 100
_INT64 = 2**63


class StrictJSONParser(BaseParser):
    """Reads a JSON body of at most the view's `body_limit` bytes."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        context = parser_context or {}
        limit = getattr(context.get("view"), "body_limit", DEFAULT_LIMIT)
        encoding = context["request"].META.get("HTTP_CONTENT_ENCODING", "identity") if "request" in context else ""
        if encoding not in ("", "identity"):
            raise UnsupportedMediaType(media_type or "", f"Compressed bodies ({encoding[:20]}) are not taken.")
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise PayloadTooLarge(f"The body has more than {limit // 1024:,} KiB.")
        return loads(body)


class JSONRenderer(BaseRenderer):
    """Writes JSON."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return b"" if data is None else orjson.dumps(data, default=str)


def loads(body: bytes) -> Any:
    """Read JSON; raise ParseError for what is not JSON or what could not be kept as it is."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ParseError(f"The body is not JSON: {error}.") from error
    if _check(value):
        _refuse_huge_integers(body)
    return value


def check_text(text: str) -> None:
    """Refuse what no database keeps."""
    if "\x00" in text:
        raise ParseError("The text holds a NUL character.")


def _check(root: Any) -> bool:
    """Walk the value; tell whether some number may be an integer that did not fit and was read as a float."""
    has_large_float = False
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ParseError(f"The body is nested more than {MAX_DEPTH} levels deep.")
        inner: list[Any] = []
        for value in level:
            if isinstance(value, str):
                check_text(value)
            elif isinstance(value, dict):
                inner += value
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, float):
                has_large_float |= abs(value) >= _INT64
            elif isinstance(value, int) and not -_INT64 <= value < _INT64:
                raise ParseError(_TOO_LARGE)
        level = inner
    return has_large_float


_TOO_LARGE = "The body holds an integer of more than 64 bits; send it as text."


def _refuse_huge_integers(body: bytes) -> None:
    def read_integer(digits: str) -> int:
        if len(digits) > 20 or not -_INT64 <= int(digits) < _INT64:
            raise ParseError(_TOO_LARGE)
        return 0

    json.loads(body, parse_int=read_integer)
