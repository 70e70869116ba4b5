"""The one JSON form of all that is recorded, and its digest.

Both databases must hold the same text and every replay must read the same value, so values are cleaned on the
way in (no NUL, no lone surrogates, no NaN, no integer beyond 64 bits) and always read back from their stored form.
"""

from __future__ import annotations

import hashlib
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias
from uuid import UUID

import orjson

from agents.engine.errors import NotEncodable

JSON: TypeAlias = Any
"""None, bool, int, float, str, list or dict with str keys, nested.

(Any: recursive aliases cost a reader more than the type checker would find.)
"""

MAX_DEPTH = 200
INT64 = 2**63
MAX_BITS = 8192
"""The largest integer that is recorded, as text: Python refuses to write out much larger ones."""
_OPTIONS = orjson.OPT_NON_STR_KEYS
_DIGEST_BYTES = 16


def encode(value: object) -> str:
    """Give the JSON text of a value. Tuples become lists, dates ISO 8601, dataclasses objects.

    Raises NotEncodable with the offending type for anything without a JSON form.
    """
    try:
        text = orjson.dumps(value, default=_default, option=_OPTIONS)
    except TypeError:
        # Not necessarily wrong: orjson also stops at lone surrogates and huge integers, which cleaning mends.
        text = _dumps_clean(value)
    if b"\\u0000" in text:
        text = _dumps_clean(orjson.loads(text))
    return text.decode()


def decode(text: str | bytes | None) -> JSON:
    """Read a stored JSON text; None stands for an absent value."""
    return None if text is None else orjson.loads(text)


def recorded(value: object) -> JSON:
    """Give the value as a replay would see it."""
    return orjson.loads(encode(value))


def digest(value: object) -> str:
    """Give a short digest of a value, independent of the order of object keys: 32 hex characters."""
    try:
        text = orjson.dumps(value, default=_default, option=_OPTIONS | orjson.OPT_SORT_KEYS)
    except TypeError:
        text = orjson.dumps(clean(value), option=_OPTIONS | orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES).hexdigest()


def clean(value: object, depth: int = 0) -> JSON:
    """Give the value without what one of the databases refuses."""
    if depth > MAX_DEPTH:
        raise NotEncodable(f"The value is nested more than {MAX_DEPTH} levels deep.")
    match value:
        case None | bool():
            return value
        case str():
            return clean_text(value)
        case int():
            return value if -INT64 <= value < INT64 else _digits(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {clean_text(_key(k)): clean(v, depth + 1) for k, v in value.items()}
        case list() | tuple():
            return [clean(v, depth + 1) for v in value]
        case datetime() | date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case _:
            return clean(_default(value), depth + 1)


def clean_text(text: str) -> str:
    """Replace NUL and lone surrogates, which PostgreSQL refuses, by U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    elif text.isascii():
        return text
    return text if _is_utf8(text) else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def message_of(error: BaseException) -> str:
    """Give an error's text as it may be recorded; some errors fail even at that."""
    try:
        return clean_text(str(error))
    except Exception:  # noqa: BLE001 (the code of whoever wrote the error)
        return ""


def _digits(value: int) -> str:
    if value.bit_length() > MAX_BITS:
        raise NotEncodable(f"An integer of {value.bit_length():,} bits is too large to be recorded.")
    return str(value)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, (int, float, bool, UUID, date)):
        return str(key)
    raise NotEncodable(f"A JSON object can't have a key of type {type(key).__name__}.")


def _default(value: object) -> object:
    to_json = getattr(value, "to_json", None)
    if callable(to_json):
        try:
            return to_json()
        except Exception as error:
            raise NotEncodable(f"The to_json of a {type(value).__name__} failed: {message_of(error)}") from error
    match value:
        case Decimal():
            return str(value)
        case timedelta():
            return value.total_seconds()
        case Enum():
            return value.value
        case _:
            raise NotEncodable(
                f"A {type(value).__name__} has no JSON form; return text, numbers, lists and dictionaries from a step."
            )


def _dumps_clean(value: object) -> bytes:
    try:
        return orjson.dumps(clean(value), option=_OPTIONS)
    except (TypeError, RecursionError) as error:
        raise NotEncodable(f"The value can't be recorded as JSON: {error}") from error
