"""What the client was promised, written down the moment it was told: the checks hold the product to it."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.plans import Order


@dataclass(slots=True)
class Known:
    """What the client knows of a run: when it asked for what, and when that was accepted (seconds since the epoch).

    `order` is None for a sub-run. `retry_choices` are the times at which a person's "retry" of a step was sent, by key.
    """

    order: Order | None
    accepted_at: float
    cancelled_at: list[float] = field(default_factory=list)
    retried_at: list[float] = field(default_factory=list)
    paused_at: float | None = None
    done: set[str] = field(default_factory=set)
    retry_choices: dict[str, list[float]] = field(default_factory=dict)
    has_given_up: bool = False


class Ledger:
    """All that the client knows, in memory and in a file."""

    def __init__(self, path: Path) -> None:
        self.runs: dict[str, Known] = {}
        self.problems: list[str] = []
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def accepted(self, run: str, order: Order) -> None:
        """A run was accepted: from now on it must exist."""
        self.write("accepted", run=run, number=order.number)
        with self._lock:
            self.runs[run] = Known(order, time.time())

    def known(self, run: str) -> Known:
        """Give what is known of a run; a sub-run may be seen for the first time."""
        with self._lock:
            return self.runs.setdefault(run, Known(None, time.time()))

    def started(self) -> dict[str, Known]:
        """Give the runs that the client started."""
        with self._lock:
            return {run: known for run, known in self.runs.items() if known.order is not None}

    def write(self, what: str, **more: Any) -> None:
        """Write a line."""
        with self._lock:
            self._file.write(f"{json.dumps({'at': round(time.time(), 4), 'what': what, **more})}\n")

    def complain(self, problem: str) -> None:
        """Write down an answer of the product that must not be."""
        self.write("problem", problem=problem)
        self.problems.append(problem)

    def close(self) -> None:
        self._file.close()
