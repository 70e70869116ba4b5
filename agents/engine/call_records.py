"""What travels to the journal about calls that have a process of their own: plain values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from agents.engine.records import Change


@dataclass(frozen=True, slots=True)
class CallRecord:
    """An attempt of a step to be executed in a process of its own. `id` is its token.

    `message` is the task as the queue of ordinary tasks carries it; `timeout` is in seconds, `memory` in MB.
    """

    id: UUID
    key: str
    attempt: int
    tool: str
    timeout: float
    memory: int
    is_approved: bool
    message: str
    queued_at: datetime


@dataclass(slots=True)
class CallsChange:
    """What is written about such calls, apart from the rest since few batches have any of it.

    `new` are queued, `dropped` are tokens of those whose outcome nobody waits for any more.
    """

    new: list[CallRecord] = field(default_factory=list)
    dropped: list[UUID] = field(default_factory=list)

    def after(self, older: CallsChange | None) -> CallsChange:
        """Give both, the older first."""
        if older is None:
            return self
        return CallsChange(older.new + self.new, older.dropped + self.dropped)


def calls_of(change: Change) -> CallsChange:
    """Give the part of a change that is about calls that have a process of their own."""
    if change.calls is None:
        change.calls = CallsChange()
    return change.calls
