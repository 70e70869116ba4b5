"""Text and JSON as every database and every model can take it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from tools.types import JSON

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

MAX_DEPTH = 100
_LARGEST = 2**63


def clean_text(text: str) -> str:
    """Replace what PostgreSQL can't store and UTF-8 can't encode: NUL and lone surrogates."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def clean_json(value: JSON, depth: int = 0) -> JSON:
    """Give the value in a form that every part stores and sends alike.

    NaN and infinities become None, integers that no column holds become text. Raises TypeError for what has no JSON
    form, ValueError for what is nested too deep.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"a value is nested deeper than {MAX_DEPTH} levels")
    match value:
        case None | bool():
            return value
        case str():
            return clean_text(value)
        case int():
            return int(value) if -_LARGEST <= value < _LARGEST else str(value)
        case float():
            return float(value) if math.isfinite(value) else None
        case Mapping():
            return {_clean_key(key): clean_json(item, depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [clean_json(item, depth + 1) for item in value]
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def _clean_key(key: object) -> str:
    if isinstance(key, str):
        return clean_text(key)
    raise TypeError(f"a JSON object has text as keys, not {type(key).__name__}")


def shorten(text: str, limit: int) -> str:
    """Cut the text at `limit` characters and say so."""
    if len(text) <= limit:
        return text
    return f"{text[:limit].rstrip()}\n\n[Cut here: {len(text) - limit:,} more characters.]"
