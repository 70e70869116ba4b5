"""What travels about events between a run and the tables: plain values, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self
from uuid import UUID

from agents.engine.canonical import JSON, encode


class EmittedRecord(NamedTuple):
    """An event that comes from a run; written with what it tells of. `data` is JSON text.

    One whose `event_id` its source has told of before is the same event, and not written again.
    """

    name: str
    data: str
    source: str
    occurred_at: datetime
    tainted: bool
    event_id: str = ""


class About(NamedTuple):
    """What a run is, as the events of its life say: its agent, if it has one, and whether it is tainted by now."""

    workflow: str
    agent: str | None
    version: int | None
    created_at: datetime
    tainted: bool


@dataclass(frozen=True, slots=True)
class Listening:
    """A run's wait for an event: `match` is a condition on its data, `key` the step's."""

    workspace_id: int
    run_id: UUID
    key: str
    pattern: str
    match: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Happening:
    """An event, as a workflow is given it. `tainted` says that strangers may have written what it says."""

    id: int
    name: str
    data: JSON
    source: str
    occurred_at: datetime
    tainted: bool = False

    @classmethod
    def from_json(cls, data: JSON) -> Self:
        return cls(
            id=data["id"],
            name=data["name"],
            data=data["data"],
            source=data["source"],
            occurred_at=datetime.fromisoformat(data["occurred_at"]),
            tainted=data.get("tainted", False),
        )


def told_name(key: str) -> str:
    """Give the name of the message in which an event comes to the step that waits for it."""
    return f"event:{key}"


def registration(one: Listening) -> tuple[int, UUID, str, str, str | None, str]:
    """Give a wait as it is registered: whose, for what, its condition as JSON text, and how its run would be told."""
    match = None if one.match is None else encode(one.match)
    return one.workspace_id, one.run_id, one.key, one.pattern, match, told_name(one.key)


def told_token(event_id: int) -> str:
    """Give the token of that message: a run is handed an event once."""
    return f"event:{event_id}"
