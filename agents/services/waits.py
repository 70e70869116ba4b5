"""What a run waits for, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from agents.models import ENDED, Run, Wait, WaitKind

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing a run waits for. `name` is the limit, the event, the step; `due_at` when it goes on at the latest."""

    kind: str
    name: str
    due_at: datetime | None
    words: str


def waits_of(run: Run) -> list[Wait]:
    """Give what a run waits for, nothing once it has ended; each limit once, by the first place expected there."""
    if run.status in ENDED:
        return []
    waits = Wait.objects.filter(run_id=run.id)
    first = {wait.name: wait for wait in waits.filter(kind=WaitKind.SLOT).order_by("-due_at")}
    return [*waits.exclude(kind=WaitKind.SLOT).order_by("id")[:SHOWN], *first.values()]


def describe_waits(run: Run, now: datetime) -> list[Waiting]:
    """Give what a run waits for, in words."""
    return [Waiting(wait.kind, _name(wait), wait.due_at, in_words(wait, now)) for wait in waits_of(run)]


def _name(wait: Wait) -> str:
    return wait.key if wait.kind == WaitKind.PLACE else wait.name or wait.key


def in_words(wait: Wait, now: datetime) -> str:
    """Say what is waited for and how long that is expected to take."""
    due = "" if wait.due_at is None else f"in {max(0, math.ceil((wait.due_at - now).total_seconds()))} s"
    if wait.kind == WaitKind.SLOT:
        return f"waiting: limit {wait.name}" + (f", expected {due}" if due else "")
    if wait.kind == WaitKind.PLACE:
        return f"waiting: {wait.key}"
    what = WaitKind(wait.kind).label.lower()
    if wait.needed > 1:
        what = f"{wait.needed} of kind {what}"
    return f"waiting: {what}" + (f", {due} at the latest" if due else "")
