"""Ctrl-C as something to look at, instead of an exception in the middle of whatever is being done."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Any, Self

LOOK = 0.05
PATIENCE = 3


class Interrupts:
    """Counts what comes within the block. An exception could break into a lock that is never let go of then.

    Whoever insists is heeded at once: the third one raises KeyboardInterrupt, as where a database gives no answer.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def comes_within(self, seconds: float) -> bool:
        """Wait for another one."""
        before, ends = self.count, time.monotonic() + seconds
        while self.count == before and time.monotonic() < ends:
            time.sleep(LOOK)
        return self.count > before

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count >= PATIENCE:
            raise KeyboardInterrupt
