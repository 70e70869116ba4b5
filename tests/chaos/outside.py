"""The outside world that the steps act on: a log that no kill makes forget, and counters of failures."""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "CHAOS_OUTSIDE"
"""Names the folder of the outside world to the processes of the product."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One execution of a step, as the world saw it: in which epoch of its run, and at which attempt.

    `at` is in seconds of the machine's clock, `is_unsafe` says that a second one would do harm.
    """

    at: float
    run: str
    key: str
    epoch: int
    attempt: int
    pid: int
    is_unsafe: bool


class Outside:
    """The folder with the log of effects and the counters."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "effects"
        self._counters = folder / "counters"
        self._known: dict[str, list[Effect]] = defaultdict(list)
        self._read_to = 0

    @classmethod
    def of_process(cls) -> Outside:
        """Give the outside world of this process of the product."""
        return cls(Path(os.environ[VARIABLE]))

    def make(self) -> None:
        """Make the files, empty."""
        self._counters.mkdir(parents=True)
        self._log.touch()

    def note(self, run: str, key: str, epoch: int, attempt: int, *, is_unsafe: bool) -> None:
        """Let the effect happen: a line of the log, in one write."""
        line = [time.time(), run, key, epoch, attempt, os.getpid(), is_unsafe]
        _append(self._log, f"{json.dumps(line)}\n".encode())

    def count(self, run: str, key: str) -> int:
        """Count one more failure of a step; gives how many there were before, also in processes that were killed."""
        path = self._counters / f"{run}.{key.replace('/', '-')}"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            before = os.fstat(descriptor).st_size
            os.write(descriptor, b".")
        finally:
            os.close(descriptor)
        return before

    def by_run(self) -> dict[str, list[Effect]]:
        """Give the effects of each run in their order; reads what came since the last time."""
        with self._log.open("rb") as file:
            file.seek(self._read_to)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # It is being written at this moment.
                self._read_to += len(line)
                effect = Effect(*json.loads(line))
                self._known[effect.run].append(effect)
        return self._known

    def has_happened(self, run: str, key: str) -> bool:
        """Whether the effect of a step has happened at least once."""
        return any(effect.key == key for effect in self.by_run().get(run, ()))


def _append(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
