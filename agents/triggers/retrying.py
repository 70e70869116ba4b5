"""When an outgoing webhook is tried again, and when its endpoint is given up. Pure.

A receiver that is away for a night, or whose operator notices on Monday, still gets everything: the pauses grow from
seconds to a day. They are drawn within bounds, so that what failed together does not come back together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

MINUTE, HOUR = 60.0, 3600.0
PAUSES: Final = (5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
"""Seconds before each further attempt."""
ATTEMPTS: Final = len(PAUSES) + 1
JITTER: Final = 0.2
"""By what part a pause is longer at most. Never shorter: the receiver asked for none of this."""
LONGEST_WISH: Final = 24 * HOUR
"""A receiver that asks by Retry-After for more than this is asked again before."""
GIVE_UP_AFTER: Final = timedelta(days=5)
"""An endpoint that answered nothing but failures for so long is switched off."""
GONE: Final = 410


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt. `status` None: no answer at all, `error` says why. `retry_after` is in seconds."""

    status: int | None = None
    error: str = ""
    retry_after: float | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def words(self) -> str:
        """Say it to people."""
        if self.status is None:
            return self.error
        if 300 <= self.status < 400:
            return f"answered {self.status}, a redirect, which is not followed"
        return f"answered {self.status}"


@dataclass(frozen=True, slots=True)
class Delivered:
    """It has arrived."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """It is tried again at `at`."""

    at: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It is not tried again by itself. `disable` says, unless empty, why nothing more is sent to the endpoint."""

    disable: str = ""


def after_attempt(
    answer: Answer, *, attempts: int, failing_since: datetime | None, now: datetime, chance: float
) -> Delivered | TryAgain | GiveUp:
    """Decide after the attempt number `attempts` of this round; `chance` is a number from 0 up to 1.

    `failing_since` is when the endpoint, which has answered nothing but failures since, first did.
    """
    if answer.is_success:
        return Delivered()
    if answer.status == GONE:
        return GiveUp(disable="It answered 410 Gone: whoever runs it wants no more webhooks.")
    if failing_since is not None and now - failing_since >= GIVE_UP_AFTER:
        return GiveUp(disable=f"For {GIVE_UP_AFTER.days} days nothing arrived; at last: {answer.words.rstrip('.')}.")
    if attempts >= ATTEMPTS:
        return GiveUp()
    pause = PAUSES[attempts - 1] * (1 + JITTER * chance)
    if answer.retry_after is not None:
        pause = max(pause, min(answer.retry_after, LONGEST_WISH))
    return TryAgain(now + timedelta(seconds=pause))
