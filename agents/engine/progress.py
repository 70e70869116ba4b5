"""How far a step has come, as its run's log tells it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from agents.engine.canonical import JSON, clean_text

PROGRESS = "step_progress"
"""Kind of the log's entries about it."""
SHORTEST_GAP = 1.0
MAX_TEXT = 500


class Pace:
    """Lets little through of what is told often: at first once a second, the longer it lasts the more seldom.

    What takes hours is told of some hundred times.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._next = self._began

    def is_time(self) -> bool:
        """Whether what is told now is passed on."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + max(SHORTEST_GAP, (now - self._began) / 100)
        return True


def progress_data(key: str, attempt: int, text: str, done: float | None) -> JSON:
    """Give an entry's data; `done` is a share of the whole, from 0 to 1."""
    data: dict[str, JSON] = {"key": key, "attempt": attempt, "text": clean_text(text)[:MAX_TEXT]}
    if done is not None and math.isfinite(done):
        data["done"] = round(min(max(done, 0.0), 1.0), 4)
    return data
