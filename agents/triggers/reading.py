"""What an incoming webhook says: its body as a value, the name of its event, the sender's id of it. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from agents.engine.canonical import JSON

TYPE: Final = "{type}"
UNKNOWN: Final = "unknown"
MAX_NAME, MAX_TYPE, MAX_ID = 200, 100, 150
FORM: Final = "application/x-www-form-urlencoded"
MAX_FIELDS: Final = 1000
PLACE = re.compile(r"header:[A-Za-z0-9_-]{1,80}|body:[^.\s]{1,40}(?:\.[^.\s]{1,40}){0,7}")
"""Where in a webhook something is found: `header:X-Event`, `body:data.type`."""
_ODD = re.compile(r"[^A-Za-z0-9_.:-]+")
TYPES: Final = {"standard": "body:type", "github": "header:X-GitHub-Event", "stripe": "body:type"}
IDS: Final = {"standard": "header:webhook-id", "github": "header:X-GitHub-Delivery", "stripe": "body:id"}
"""By scheme, where the sender says what happened and which webhook this is."""


def read_body(body: bytes, content_type: str) -> JSON:
    """Give the value of a body: JSON, the fields of a form, else its text.

    A form whose one field `payload` is JSON, as GitHub sends it, counts as that; so does JSON that is called a form,
    as many a command line does.
    """
    is_form = content_type.partition(";")[0].strip().lower() == FORM and not body.startswith((b"{", b"["))
    if is_form and (fields := _read_form(body)):
        if list(fields) == ["payload"] and len(fields["payload"]) == 1:
            return _read(fields["payload"][0].encode(errors="replace"))
        return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
    return _read(body)


def _read(body: bytes) -> JSON:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")


def _read_form(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return {}  # More fields than anybody means.


def find(place: str, headers: Mapping[str, str], data: JSON) -> str:
    """Give what stands at a place (see PLACE) as a text; empty if nothing does."""
    kind, _, path = place.partition(":")
    if kind == "header":
        return headers.get(path.lower(), "").strip()
    value: Any = data
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()


def name_event(pattern: str, type_from: str, headers: Mapping[str, str], data: JSON) -> str:
    """Give the event's name; signs that no name has become underscores."""
    if TYPE not in pattern:
        return pattern
    found = _ODD.sub("_", find(type_from, headers, data) if type_from else "")[:MAX_TYPE].strip(".")
    return pattern.replace(TYPE, found or UNKNOWN)[:MAX_NAME]


def identify(id_from: str, headers: Mapping[str, str], data: JSON, signed: bytes | None) -> str:
    """Give the id by which a webhook that comes twice is known; empty for one that is never the same as another.

    Without an id of the sender's, what it has `signed` tells: the same signed twice is the same.
    """
    found = find(id_from, headers, data) if id_from else ""
    if found:
        return found if len(found) <= MAX_ID and found.isprintable() else f"sha256:{_digest(found.encode())}"
    return f"sha256:{_digest(signed)}" if signed is not None else ""


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
