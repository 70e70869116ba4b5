"""What travels to the journal about the trust in a run: plain values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

if TYPE_CHECKING:
    from agents.engine.records import Change


@dataclass(frozen=True, slots=True)
class ApprovalRecord:
    """A question to a person. `arguments` and `form` are JSON texts."""

    id: UUID
    key: str
    kind: Literal["approve", "ask"]
    subject: str
    tool: str
    effect: str
    why: str
    arguments: str | None
    form: str | None
    binding: str
    asked_at: datetime
    expires_at: datetime


@dataclass(slots=True)
class TrustChange:
    """What is written about the trust in a run, apart from the rest since few batches have any of it.

    `tainted` are keys of steps by which the run has read what strangers may have written, `withdrawn` keys of steps
    whose question is asked no more; `approvals` are new questions.
    """

    tainted: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    approvals: list[ApprovalRecord] = field(default_factory=list)

    def after(self, older: TrustChange | None) -> TrustChange:
        """Give both, the older first."""
        if older is None:
            return self
        return TrustChange(
            older.tainted + self.tainted, older.withdrawn + self.withdrawn, older.approvals + self.approvals
        )


def trust_of(change: Change) -> TrustChange:
    """Give the part of a change that is about the trust in the run."""
    if change.trust is None:
        change.trust = TrustChange()
    return change.trust
