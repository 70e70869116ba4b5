"""The database's time on this process's monotonic clock, and how far off that may be."""

from __future__ import annotations

DRIFT = 1e-4
"""Seconds by which two clocks may part in each second."""
LONGEST = 60.0
"""Seconds after which an observation is replaced by any newer one: somebody may have set a clock."""


class Timekeeping:
    """Keeps the observation that says most: the time was read between `sent` and `received`."""

    def __init__(self) -> None:
        self._seen: tuple[float, float, float] | None = None

    def observe(self, sent: float, received: float, database_now: float) -> None:
        """Take note of the database's time, read between two moments of the monotonic clock."""
        if self._seen is not None:
            old_sent, old_received, _ = self._seen
            age = received - old_received
            if age < LONGEST and old_received - old_sent + age * DRIFT < received - sent:
                return
        self._seen = (sent, received, database_now)

    def surely(self, moment: float) -> float:
        """Give when, on the monotonic clock, the database's clock has surely reached a moment."""
        assert self._seen is not None, "Nothing was observed yet."  # noqa: S101 (its callers have asked before)
        _, received, now = self._seen
        return received + (moment - now)

    def at_least(self, monotonic: float) -> float:
        """Give what the database's clock surely shows by now, or has passed."""
        assert self._seen is not None, "Nothing was observed yet."  # noqa: S101 (its callers have asked before)
        _, received, now = self._seen
        return now + (monotonic - received)

    def at_most(self, monotonic: float) -> float:
        """Give what the database's clock can't have passed."""
        assert self._seen is not None, "Nothing was observed yet."  # noqa: S101 (its callers have asked before)
        sent, _, now = self._seen
        return now + (monotonic - sent)
