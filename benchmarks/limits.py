"""1,000 calls through one limit of 200 a second, from four processes at once.

How much of the limit is used, whether any window of a second has more, and how often a process asks the database. The
calls wait as those of runs do, those that would park come back by themselves; what parking costs is measured elsewhere.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from benchmarks.harness import Bench
from benchmarks.report import Figures, both
from tests.instance import CHECKOUT
from tools.models import Limit

CALLS, PROCESSES, AMOUNT = 1000, 4, 200
TICK = 0.02
SETTLE = 8.0
"""Seconds for four interpreters to start on two cores."""
TARGETS = both({"most_in_a_second": "<= 200", "used_percent": ">= 95", "statements_per_process_and_20_ms": "<= 1"})


def measure(bench: Bench) -> Figures:
    Limit.objects.create(name="bench", amount=AMOUNT, period=1.0)
    options = {
        "key": "bench",
        "calls": CALLS // PROCESSES,
        "workspace": bench.workspace.pk,
        "at": time.monotonic() + SETTLE,
    }
    command = [sys.executable, "-m", "tests.limit_caller", json.dumps(options)]
    processes = [
        subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(PROCESSES)
    ]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    starts = sorted(start for answer in answers for start in answer["starts"])
    span = starts[-1] - starts[0]
    asked = [answer["statements"] / (answer["seconds"] / TICK) for answer in answers]
    return {
        "calls": len(starts),
        "seconds": round(span, 3),
        "most_in_a_second": most_in(starts, 1.0),
        "used_percent": round(100 * (len(starts) - 1) / span / AMOUNT, 1),
        "statements_per_process_and_20_ms": round(max(asked), 2),
        "statements": sum(answer["statements"] for answer in answers),
        "waits_that_would_park": sum(answer["waits"] for answer in answers),
    }


def most_in(starts: list[float], window: float) -> int:
    """Give how many begin in that window, of all windows, in which most do."""
    first = most = 0
    for last, start in enumerate(starts):
        while start - starts[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most
