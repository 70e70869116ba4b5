"""Time as the engine sees it, so that tests can hold it in their hands."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The time of day."""

    def now(self) -> datetime:
        """Give the present time, aware, in UTC."""
        ...


class WorkerClock:
    """The database's time, kept between looks by this machine's monotonic clock.

    All workers then agree on when a timer is due, however wrong the clocks of their machines are.
    """

    def __init__(self) -> None:
        self.set(datetime.now(UTC))

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._zero + time.monotonic(), UTC)

    def set(self, now: datetime) -> None:
        """Take over the database's time."""
        self._zero = now.timestamp() - time.monotonic()


class ManualClock:
    """A clock that stands still until it is moved; for tests."""

    def __init__(self, now: datetime | None = None) -> None:
        self._now = now or datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._now += timedelta(seconds=seconds)
