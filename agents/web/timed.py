"""Schedules and watchers as pages show them: how they are doing, their next times, what their events have led to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar
from zoneinfo import available_timezones

from django.core.exceptions import BadRequest
from django.db.models import Prefetch, Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from agents.models import Event, Match, MatchStatus, Schedule, Timed, TimingKind, Watcher
from agents.services import schedules, watchers
from agents.services.timed import next_times
from agents.triggers.cron import BadTiming
from agents.triggers.schedules import ON_TIME, jitter_of, zone_of
from agents.web.wording import State

PAGE = 50
MAX_PAGE_NUMBER = 2**63 - 1
SHOWN_MATCHES = 20

T = TypeVar("T", bound=Timed)


def state_of(row: Timed, now: datetime | None = None) -> State:
    """Say how a schedule or a watcher is doing."""
    now = now or timezone.now()
    if row.broken:
        return State("failed", "Broken", row.broken)
    if row.paused_at is not None:
        return State("paused", "Paused")
    if isinstance(row, Watcher) and row.looking is not None:
        return State("running", "Looking")
    if row.fires_at is None:
        return State("cancelled", "Over", "Nothing more comes.")
    if row.fires_at < now - ON_TIME:
        return State("waiting", "Late", "No worker has seen to it yet.")
    if isinstance(row, Watcher) and row.failures:
        return State("retrying", "Failing", row.problem)
    return State("succeeded", "On")


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of schedules or watchers is narrowed to; kept in the address of the page."""

    states: tuple[str, ...]
    text: str = ""
    state: str = ""
    after: str = ""

    @classmethod
    def of(cls, query: QueryDict, *states: str) -> Filters:
        """Read them from an address, besides broken and paused by these states; what makes no sense is left out."""
        states = ("broken", "paused", *states)
        state = query.get("state", "")
        return cls(
            states=states,
            text=query.get("find", "").strip()[:100],
            state=state if state in states else "",
            after=query.get("after", "")[:60],
        )

    @property
    def is_narrow(self) -> bool:
        return bool(self.text or self.state)

    def page(self, rows: QuerySet[T]) -> tuple[list[T], str]:
        """Give a page of what fits, by name, and the name after which the next page begins; empty on the last."""
        if self.text:
            rows = rows.filter(Q(name__icontains=self.text) | Q(note__icontains=self.text))
        if self.state == "broken":
            rows = rows.exclude(broken="")
        elif self.state == "paused":
            rows = rows.filter(paused_at__isnull=False)
        elif self.state == "failing":
            rows = rows.filter(failures__gt=0)
        found = list(rows.filter(name__gt=self.after).order_by("name")[: PAGE + 1])
        return found[:PAGE], found[PAGE - 1].name if len(found) > PAGE else ""


@dataclass(frozen=True, slots=True)
class Time:
    """A time that something is due, on the clocks of its own zone and of the reader's, and by how much it is late."""

    moment: datetime
    there: str
    here: str
    delay: float


@dataclass(frozen=True, slots=True)
class Times:
    """The next times. `zone` is what they are reckoned in, `reader` the other one if that has another time."""

    zone: str
    reader: str
    times: list[Time]
    has_jitter: bool


def times_of(row: Timed) -> Times:
    """Give the next five times of a row."""
    times = next_times(row)
    # An interval is of no zone.
    zone = str(timezone.get_current_timezone()) if row.timing == TimingKind.INTERVAL else row.time_zone
    return shown_times(times, zone, [jitter_of(row.pk, time, row.jitter) for time in times])


def shown_times(times: Sequence[datetime], zone_name: str, delays: Iterable[timedelta] = ()) -> Times:
    """Give times as they are shown, each late by its delay."""
    here = timezone.get_current_timezone()
    try:
        there = zone_of(zone_name)
    except BadTiming:
        zone_name, there = "UTC", zone_of("UTC")
    is_same = all(time.astimezone(here).utcoffset() == time.astimezone(there).utcoffset() for time in times)
    late = [delay.total_seconds() for delay in delays] or [0.0] * len(times)
    return Times(
        zone_name,
        "" if is_same else str(here),
        [
            Time(time, _words(time.astimezone(there)), _words(time.astimezone(here)), delay)
            for time, delay in zip(times, late, strict=True)
        ],
        any(late),
    )


def _words(moment: datetime) -> str:
    return moment.strftime("%a %-d %b %Y, %H:%M:%S %Z")


@lru_cache(maxsize=1)
def zone_names() -> tuple[str, ...]:
    """Give the names of time zones to choose from."""
    return tuple(sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")))


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a schedule or a watcher, and what came of it; `note` says how it came about, if not as usual."""

    event: Event
    note: str
    matches: list[Match]

    @property
    def is_busy(self) -> bool:
        """More is going to be seen soon."""
        return self.event.dispatched_at is None or any(
            match.status == MatchStatus.HELD or (match.run is not None and not match.run.has_ended)
            for match in self.matches
        )


def told_by(row: Schedule | Watcher, before: str) -> tuple[list[Told], str]:
    """Give a page of the events of a schedule or a watcher, newest first, and where the next page begins."""
    is_schedule = isinstance(row, Schedule)
    name = schedules.event_name(row) if isinstance(row, Schedule) else watchers.event_name(row)
    # One of the same name may have been there before.
    events = Event.objects.filter(
        workspace_id=row.workspace_id,
        name=name,
        source="schedule" if is_schedule else "watcher",
        received_at__gte=row.created_at,
    )
    if before:
        events = events.filter(pk__lt=_number(before))
    matches = Match.objects.select_related("run", "run__agent_version__agent").order_by("id")
    found = list(events.order_by("-id").prefetch_related(Prefetch("matches", matches))[: PAGE + 1])
    told = [Told(event, _note(row, event), list(event.matches.all()[:SHOWN_MATCHES])) for event in found[:PAGE]]
    return told, str(found[PAGE - 1].pk) if len(found) > PAGE else ""


def _note(row: Timed, event: Event) -> str:
    """Say how an event came about: by hand, as the replay of another, late."""
    data: dict[str, Any] = event.data if isinstance(event.data, dict) else {}
    if event.replay_of_id is not None:
        return "dispatched once more"
    if isinstance(row, Watcher):
        return ""
    if data.get("due_at") is None:
        return f"by hand, by {data.get('by') or 'somebody'}"
    late = event.received_at - event.occurred_at - jitter_of(row.pk, event.occurred_at, row.jitter)
    return "made up for" if late > ON_TIME else ""


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 19 or int(text) > MAX_PAGE_NUMBER:
        raise BadRequest("This page of the list is none.")
    return int(text)
