"""Questions to people, as their cards show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

from agents.models import Approval, Run
from agents.services.event_waits import EventWait
from agents.web.schema_forms import Field, fields_of


@dataclass(frozen=True, slots=True)
class Card:
    """A question with what a person can change or fill in."""

    approval: Approval
    fields: list[Field]

    @property
    def run(self) -> Run:
        return self.approval.run

    @property
    def is_question(self) -> bool:
        return self.approval.kind == "ask"

    @property
    def title(self) -> str:
        """What is asked, in one line."""
        if self.is_question:
            return self.approval.subject
        return f"May {self.approval.subject} be called?" if self.approval.tool else f"Approve {self.approval.subject}?"


@dataclass(frozen=True, slots=True)
class SignalCard:
    """A wait for an event, with the fields of what it may be told; `key` lets a double click count once."""

    wait: EventWait
    fields: list[Field]
    key: str


def signal_cards_of(waits: Iterable[EventWait]) -> list[SignalCard]:
    """Give the cards of events that a run waits for."""
    return [SignalCard(wait, fields_of(wait.form, None), uuid4().hex) for wait in waits]


def cards_of(approvals: Iterable[Approval]) -> list[Card]:
    """Give the cards of open questions."""
    return [Card(approval, fields_of(approval.form, approval.arguments)) for approval in approvals]
