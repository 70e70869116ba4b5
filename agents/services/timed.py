"""What schedules and watchers have in common: when they are due, what they start, who may change them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from django.utils import timezone
from uuid_utils.compat import uuid7

from agents.engine.canonical import JSON
from agents.engine.notify import announce
from agents.models import Agent, Overlap, Schedule, Timed, TimingKind, Workspace
from agents.services.errors import Conflict, InvalidInput
from agents.services.runs import PRIORITIES, input_text
from agents.triggers.cron import BadTiming, cron_words
from agents.triggers.inputs import BadTemplate, check_template
from agents.triggers.schedules import Timing, next_due, upcoming, zone_of

MAX_NAME = 50
"""The subscription that starts the agent has a name made of it."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")
MAX_NOTE = 200
MAX_REASON = 500

T = TypeVar("T", bound=Timed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """When something is to be due, in the words of the table, and what it starts: an agent by its name, or nothing."""

    timing: str
    cron: str = ""
    time_zone: str = "UTC"
    seconds: int = 0
    at: datetime | None = None
    jitter: int = 0
    agent: str = ""
    input: JSON = None
    overlap: str = Overlap.SKIP
    priority: int = 0
    note: str = ""

    def write(self, row: Timed, now: datetime) -> None:
        """Write it into a row, with the next time; raises InvalidInput. A timing that stays keeps its next time."""
        row.agent = self._agent(row.workspace)
        row.input = None if self.input is None else self._checked_input()
        if self.overlap not in Overlap.values:
            raise InvalidInput(f"Choose one of: {', '.join(Overlap.values)}.", "overlap")
        if self.priority not in PRIORITIES:
            raise InvalidInput(f"A priority is a whole number from {PRIORITIES[0]} to {PRIORITIES[-1]}.", "priority")
        if len(self.note) > MAX_NOTE:
            raise InvalidInput(f"A note has at most {MAX_NOTE} characters.", "note")
        row.overlap, row.priority, row.note = self.overlap, self.priority, self.note
        self.write_timing(row, now)

    def write_timing(self, row: Timed, now: datetime) -> None:
        """Write the timing alone; raises InvalidInput."""
        kind = self.timing
        if kind not in TimingKind.values:
            raise InvalidInput(f"Choose one of: {', '.join(TimingKind.values)}.", "timing")
        before = timing_of(row) if row.timing else None
        row.timing, row.jitter = kind, self.jitter
        # What belongs to another kind is dropped: nothing is kept that does not count.
        row.cron = " ".join(self.cron.split()) if kind == TimingKind.CRON else ""
        # What has a moment of its own keeps the zone in which it was said, to be shown in it.
        row.time_zone = "UTC" if kind == TimingKind.INTERVAL else self.time_zone
        row.at = self.at if kind == TimingKind.ONCE else None
        is_same_step = before is not None and before.kind == kind and before.seconds == self.seconds
        row.seconds = self.seconds if kind == TimingKind.INTERVAL else 0
        if kind != TimingKind.INTERVAL:
            row.anchor = None
        elif row.anchor is None or not is_same_step:
            row.anchor = now.replace(microsecond=0)
        timing = timing_of(row)
        if timing == before and not row.broken:
            return
        try:
            timing.check(now)
        except BadTiming as error:
            raise InvalidInput(str(error), error.field) from error
        set_next(row, now)

    def _agent(self, workspace: Workspace) -> Agent | None:
        if not self.agent:
            return None
        agent = Agent.objects.filter(workspace=workspace, name=self.agent, archived_at=None).first()
        if agent is None:
            raise InvalidInput(f"There is no agent named {self.agent[:100]!r} in this workspace.", "agent")
        return agent

    def _checked_input(self) -> JSON:
        input_text(self.input)
        try:
            check_template(self.input)
        except BadTemplate as error:
            raise InvalidInput(str(error), "input") from error
        return self.input


def timing_of(row: Timed) -> Timing:
    """Give when a row is due, for reckoning."""
    return Timing(
        kind=cast(Any, row.timing),
        cron=row.cron,
        time_zone=row.time_zone,
        seconds=row.seconds,
        anchor=row.anchor,
        at=row.at,
        jitter=row.jitter,
    )


def set_next(row: Timed, after: datetime) -> None:
    """Write the first time after a moment into a row, unless it is paused; one that can't be reckoned is broken."""
    row.broken, row.due_at, row.fires_at = "", None, None
    try:
        due = next_due(row.pk, timing_of(row), after)
    except BadTiming as error:
        set_broken(row, str(error))
        return
    if due is not None and row.paused_at is None:
        row.due_at, row.fires_at = due.at, due.fires_at


def set_broken(row: Timed, reason: str) -> None:
    """Mark a row that can't fire: it is left alone until somebody changes it."""
    row.broken, row.due_at, row.fires_at = reason[:MAX_REASON], None, None


def next_times(row: Timed, count: int = 5) -> list[datetime]:
    """Give the next times of a row, as they come once it is not paused; none for one that is broken."""
    if row.broken:
        return []
    after = row.due_at - timedelta(microseconds=1) if row.due_at else timezone.now()
    try:
        return upcoming(timing_of(row), after, count)
    except BadTiming:
        return []


@dataclass(frozen=True, slots=True)
class Times:
    """When a timing is due, in words, and its next times."""

    words: str
    next: list[datetime]


def times_of(**timing: Any) -> Times:
    """Give the next times of what a table does not hold yet; raises InvalidInput, as making it would."""
    row, now = Schedule(pk=uuid7()), timezone.now()
    Wanted(**timing).write_timing(row, now)
    return Times(words_of(row), upcoming(timing_of(row), now))


def set_paused(row: T, *, is_paused: bool) -> T:
    """Pause a row, or let it go on from now: what it has missed meanwhile is not made up for."""
    if (row.paused_at is not None) == is_paused:
        raise Conflict(f"{row.name} is paused already." if is_paused else f"{row.name} is not paused.")
    now = timezone.now()
    row.paused_at = now if is_paused else None
    if not row.broken:
        set_next(row, now)
    row.save(update_fields=["paused_at", "due_at", "fires_at", "broken", "updated_at"])
    poke()
    return row


def check_name(name: str) -> None:
    """Raise InvalidInput for what can't be part of an event's name."""
    if not NAME.fullmatch(name):
        raise InvalidInput("A name has small letters, digits, - and _, at most 50, and begins with no sign.", "name")


def words_of(row: Timed) -> str:
    """Say in words when a row is due, and on whose clocks."""
    words = plain_words_of(row)
    return words if row.timing == TimingKind.INTERVAL else f"{words} ({row.time_zone})"


def plain_words_of(row: Timed) -> str:
    """Say in words when a row is due, without its zone. What can't be read is given as it is written."""
    if row.timing == TimingKind.INTERVAL:
        return f"every {_span(row.seconds)}"
    try:
        if row.timing == TimingKind.CRON:
            return cron_words(row.cron)
        return f"once, {row.at.astimezone(zone_of(row.time_zone)):%Y-%m-%d %H:%M:%S}" if row.at else "once"
    except BadTiming:
        return row.cron or "once"


def poke() -> None:
    """Tell the workers that something may be due sooner than they know."""
    announce(queue=True)


def _span(seconds: int) -> str:
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds % size == 0 and seconds:
            count = seconds // size
            return word if count == 1 else f"{count} {word}s"
    return "second" if seconds == 1 else f"{seconds} seconds"
