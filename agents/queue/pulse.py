"""Signs of life between processes, in shared memory and pipes.

No locks anywhere: a process that is killed or stopped while it holds one would take everybody else along.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.sharedctypes import RawArray, RawValue
from typing import Any

IDLE = -1.0


class Pulse:
    """A counter that one process beats and its parent watches. Made before the fork."""

    def __init__(self) -> None:
        self._count: Any = RawValue("Q", 0)

    @property
    def count(self) -> int:
        return int(self._count.value)

    def beat(self) -> None:
        self._count.value += 1


_own: Pulse | None = None


def take(pulse: Pulse) -> None:
    """Make this the pulse of the present process."""
    global _own
    _own = pulse


def beat() -> None:
    """Show that this process moves, if anybody watches it."""
    if _own is not None:
        _own.beat()


class Stillness:
    """How often in a row one looked at a counter and it had not moved.

    Looks are counted instead of seconds: if everything is stopped for an hour, nobody has been still for long.
    """

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read
        self._last = read()
        self.looks = 0

    def look(self) -> int:
        now = self._read()
        self.looks = 0 if now != self._last else self.looks + 1
        self._last = now
        return self.looks


class Flag:
    """Takes the place of `multiprocessing.Event`: once set, it stays so. A pipe that is readable when it is set."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def set(self) -> None:
        os.write(self._writer, b"x")

    def is_set(self) -> bool:
        return self.wait(0)

    def wait(self, seconds: float | None = None) -> bool:
        return bool(select.select([self._reader], [], [], seconds)[0])


class TaskTimer:
    """Takes the place of django-q2's timer of a worker process.

    The worker writes how long its present task may take (-1: idle) and which message that task came in; the sentinel
    counts. `lost` are messages of the worker whose place this one takes.
    """

    def __init__(self, lost: tuple[int, ...] = ()) -> None:
        self.lost = lost
        self._cells: Any = RawArray("d", [IDLE, 0.0, 0.0])

    @property
    def value(self) -> float:
        return float(self._cells[0])

    @value.setter
    def value(self, seconds: float) -> None:
        self._cells[0] = seconds
        self._cells[1] += 1

    @property
    def changes(self) -> int:
        """How often it was set: two tasks that may take as long are not one."""
        return int(self._cells[1])

    @property
    def message(self) -> int:
        """The message that is being worked on; 0 if none."""
        return int(self._cells[2])

    @message.setter
    def message(self, id: int) -> None:
        self._cells[2] = id

    def get_lock(self) -> AbstractContextManager[None]:
        return nullcontext()
