"""What watchers are told, and its JSON form on every face: API, SSE and websocket."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import UUID

from agents.models import ENDED


def iso(moment: datetime | None) -> str | None:
    """Write a moment as ISO 8601 in UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """An entry of a run's log."""

    number: int
    kind: str
    at: datetime
    data: Any

    @property
    def type(self) -> str:
        return "event"

    def to_json(self) -> dict[str, Any]:
        return {"number": self.number, "kind": self.kind, "at": iso(self.at), "data": self.data}

    def to_message(self) -> dict[str, Any]:
        return {"type": self.type, **self.to_json()}


@dataclass(frozen=True, slots=True)
class LivePartial:
    """Streamed text of a step that still runs: to be appended, or to begin with where `reset` says so."""

    key: str
    attempt: int
    seq: int
    text: str
    reset: bool = False

    @property
    def type(self) -> str:
        return "partial"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def to_message(self) -> dict[str, Any]:
        return {"type": self.type, **self.to_json()}


@dataclass(frozen=True, slots=True)
class RunState:
    """A run's row as far as watchers see it change. `output` and `error` are filled in when it has ended."""

    id: UUID
    last_event: int = field(compare=False)
    status: str
    reason: str
    wanted: str
    steps_done: int
    input_tokens: int
    output_tokens: int
    cost_microusd: int
    started_at: datetime | None
    finished_at: datetime | None
    output: Any = field(default=None, compare=False)
    error: Any = field(default=None, compare=False)

    @property
    def type(self) -> str:
        return "run"

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "reason": self.reason,
            "wanted": self.wanted,
            "steps": self.steps_done,
            "tokens_in": self.input_tokens,
            "tokens_out": self.output_tokens,
            "cost_microusd": self.cost_microusd,
            "output": self.output,
            "error": self.error,
            "started_at": iso(self.started_at),
            "finished_at": iso(self.finished_at),
        }

    def to_message(self) -> dict[str, Any]:
        return {"type": self.type, "run": self.to_json()}


Message: TypeAlias = LiveEvent | LivePartial | RunState


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run as a list shows it."""

    id: UUID
    workflow: str
    agent: str
    status: str
    reason: str
    wanted: str
    priority: int
    steps_done: int
    input_tokens: int
    output_tokens: int
    cost_microusd: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def to_json(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "agent": self.agent,
            "workflow": self.workflow,
            "status": self.status,
            "reason": self.reason,
            "wanted": self.wanted,
            "priority": self.priority,
            "steps": self.steps_done,
            "tokens_in": self.input_tokens,
            "tokens_out": self.output_tokens,
            "cost_microusd": self.cost_microusd,
            "created_at": iso(self.created_at),
            "started_at": iso(self.started_at),
            "finished_at": iso(self.finished_at),
        }
