"""What all looks have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from tools.http import Outbound
from tools.text import clean_text

JSON = Any
State = dict[str, JSON]
"""What a look keeps for the next one. None stands for the first look: nothing is known, so nothing has changed."""

MAX_URL = 2_000


class BadTarget(ValueError):
    """This can't be looked at. The message says what to change; `field` names it."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Change:
    """Something that has changed. `key` names it among all changes of the same watcher, where it has such a name."""

    data: Mapping[str, JSON]
    key: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What came of a look: what to keep, what has changed, and perhaps a word for people."""

    state: State
    changes: tuple[Change, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a look may use: the guarded client, the workspace it looks for, and the time."""

    http: Outbound
    workspace_id: int
    now: Callable[[], datetime]


def text_of(given: Mapping[str, JSON], name: str, most: int, *, needed: bool = True) -> str:
    """Give a text of the target; raises BadTarget."""
    value = given.get(name, "")
    if not isinstance(value, str) or len(value) > most or clean_text(value) != value:
        raise BadTarget(f"This is a text of at most {most:,} characters.", name)
    if needed and not value.strip():
        raise BadTarget("This is needed.", name)
    return value.strip()


def only(given: Mapping[str, JSON], *names: str) -> None:
    """Raise BadTarget for names that mean nothing here."""
    if unknown := sorted(set(given) - set(names)):
        raise BadTarget(f"There is no {unknown[0][:60]!r} here; there are: {', '.join(names)}.", unknown[0][:60])


def digest_of(value: JSON) -> str:
    """Give a digest of a JSON value, a text or bytes."""
    encoded = value if isinstance(value, bytes) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(encoded).hexdigest()
