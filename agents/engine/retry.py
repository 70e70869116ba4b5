"""When a failed attempt is tried again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry policy: exponential back-off with jitter.

    `max_attempts` counts the first one too; 1 means no retry. `first` and `max` are seconds, `factor` multiplies the
    pause from attempt to attempt, `jitter` is the share by which a pause may be longer, so that many runs that failed
    together do not come back together.
    """

    max_attempts: int = 3
    first: float = 1.0
    factor: float = 2.0
    max: float = 60.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError("Retry(max_attempts) counts the first attempt, so it is at least 1.")
        if not all(math.isfinite(v) and v >= 0 for v in (self.first, self.factor, self.max, self.jitter)):
            raise ValueError("Retry takes finite numbers that are not negative.")

    def pause_after(self, attempt: int, random: Random, retry_after: float | None = None) -> float | None:
        """Give the pause in seconds before the next attempt, or None if `attempt` (from 1) was the last.

        A `retry_after` that the other side named is honoured even beyond `max`.
        """
        if attempt >= self.max_attempts:
            return None
        exponent = min(attempt - 1, 64)
        pause = min(self.first * self.factor**exponent, self.max)
        pause *= 1 + self.jitter * random.random()
        return max(pause, retry_after) if retry_after is not None else pause


NO_RETRY = Retry(max_attempts=1)
