"""When a schedule is due: pure arithmetic. Nothing here asks the clock or the database."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agents.triggers.cron import BadTiming, check_cron, cron_times

ON_TIME = timedelta(seconds=60)
"""A firing that comes later than this was missed: the rule for catching up decides about it."""
MAX_CATCH_UP = 100
MAX_JITTER = 3600
MAX_INTERVAL = 366 * 24 * 3600
MOST_COUNTED = 1_000
"""So many missed firings are counted; one more stands for any number beyond."""
_LOOKED_AHEAD = 10
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)

CatchUp = Literal["none", "one", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When something is due: by a cron expression in a time zone, each so many seconds from `anchor`, or once.

    `jitter` delays each firing by up to so many seconds; by how many follows from the schedule and the time.
    """

    kind: Literal["cron", "interval", "once"]
    cron: str = ""
    time_zone: str = "UTC"
    seconds: int = 0
    anchor: datetime | None = None
    at: datetime | None = None
    jitter: int = 0

    def check(self, now: datetime) -> None:
        """Raise BadTiming for what never fires, or not as it is said."""
        zone_of(self.time_zone)
        if self.kind == "cron":
            check_cron(self.cron)
        elif self.kind == "interval" and not 1 <= self.seconds <= MAX_INTERVAL:
            raise BadTiming(f"An interval has from 1 to {MAX_INTERVAL:,} seconds.", "seconds")
        elif self.kind == "once" and (self.at is None or not now < self.at < _LATEST):
            raise BadTiming("Give a moment that is still to come.", "at")
        upcoming = list(islice(self.times(now), _LOOKED_AHEAD))
        if not upcoming:
            raise BadTiming("This never comes: no day has such a date.", "cron")
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(upcoming)]
        if not 0 <= self.jitter <= MAX_JITTER:
            raise BadTiming(f"A jitter has from 0 to {MAX_JITTER:,} seconds.", "jitter")
        if gaps and self.jitter >= min(gaps):
            raise BadTiming(
                f"The jitter is to be shorter than the time between two firings, here {min(gaps):,.0f} s.", "jitter"
            )

    def times(self, after: datetime) -> Iterator[datetime]:
        """Give the times after a moment, in UTC, without jitter; raises BadTiming for what can't be read."""
        if self.kind == "cron":
            yield from cron_times(self.cron, zone_of(self.time_zone), after)
        elif self.kind == "once":
            if self.at is None:
                raise BadTiming("It says no moment.", "at")
            if self.at > after:
                yield self.at.astimezone(UTC)
        else:
            yield from self._intervals(after)

    def newest(self, since: datetime, until: datetime, count: int) -> list[datetime]:
        """Give the last `count` times from `since` to `until`, both included, in order."""
        start, end = since - timedelta(microseconds=1), until
        if self.kind == "once":
            return [time for time in self.times(start) if time <= end]
        # From further and further back: a week may hold half a million times, of which a few are wanted.
        window = timedelta(seconds=max(60, self.seconds * count))
        while True:
            begin = max(start, end - window)
            found: deque[datetime] = deque(maxlen=count)
            for time in self.times(begin):
                if time > end:
                    break
                found.append(time)
            if len(found) == count or begin == start:
                return list(found)
            window *= 8

    def count(self, since: datetime, until: datetime, most: int) -> int:
        """Count the times from `since` to `until`, both included; not beyond `most`."""
        times = self.times(since - timedelta(microseconds=1))
        return sum(1 for time in islice(times, most) if time <= until)

    def _intervals(self, after: datetime) -> Iterator[datetime]:
        if self.seconds < 1 or self.anchor is None:
            raise BadTiming("It says no interval.", "seconds")
        step = timedelta(seconds=self.seconds)
        anchor = self.anchor.astimezone(UTC)
        time = anchor + max(0, (after - anchor) // step + 1) * step
        while time < _LATEST:
            yield time
            time += step


@dataclass(frozen=True, slots=True)
class Due:
    """The next firing: its time, and the moment at which it fires, later by the jitter."""

    at: datetime
    fires_at: datetime


@dataclass(frozen=True, slots=True)
class Firing:
    """What is to be done about a schedule that is due: the times that fire, how many are skipped, what comes next."""

    fire: tuple[datetime, ...]
    skipped: int
    following: Due | None


def zone_of(name: str) -> ZoneInfo:
    """Give the time zone; raises BadTiming for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadTiming(f"There is no time zone {name[:60]!r}; give one as Europe/Berlin.", "time_zone") from error


def jitter_of(id: UUID, time: datetime, jitter: int) -> timedelta:
    """Give by how much a firing is delayed: the same for the same schedule and time, whoever asks."""
    if not jitter:
        return timedelta(0)
    digest = hashlib.sha256(f"{id}:{time.timestamp():.0f}".encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8]) % (jitter + 1))


def next_due(id: UUID, timing: Timing, after: datetime) -> Due | None:
    """Give the first firing whose time is after a moment; None if no more come."""
    time = next(timing.times(after), None)
    return None if time is None else Due(time, time + jitter_of(id, time, timing.jitter))


def upcoming(timing: Timing, after: datetime, count: int = 5) -> list[datetime]:
    """Give the next times, without jitter."""
    return list(islice(timing.times(after), count))


def plan(id: UUID, timing: Timing, due: datetime, now: datetime, *, catch_up: CatchUp, limit: int = 1) -> Firing:
    """Decide about a schedule that was due at `due` and is looked at now.

    The newest time fires if it is not late. Of those that were missed, `none` fires none, `one` the newest in place of
    all, `all` the newest `limit`, each by itself.
    """
    wanted = min(limit, MAX_CATCH_UP) if catch_up == "all" else 1
    # One more: the newest may have its jitter still before it.
    times = timing.newest(due, now, wanted + 1)
    last = times[-1] if times else due
    waiting = last if times and last + jitter_of(id, last, timing.jitter) > now else None
    if waiting is not None:
        times = times[:-1]
    fire = tuple(times[-wanted:])
    if catch_up == "none":
        fire = tuple(time for time in fire if now - time - jitter_of(id, time, timing.jitter) <= ON_TIME)
    others = len(fire) + (waiting is not None)
    skipped = max(0, timing.count(due, now, MOST_COUNTED + 1 + others) - others)
    following = next_due(id, timing, waiting - timedelta(microseconds=1) if waiting else max(last, due))
    return Firing(fire, skipped, following)
