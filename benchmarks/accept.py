"""POST /api/v1/runs → 202, from one web process: alone, at 32 clients, and while a worker's journal is full."""

from __future__ import annotations

import json
import subprocess
import sys

from agents.models import Run, RunStatus
from benchmarks.harness import Bench
from benchmarks.report import Figures, milliseconds, percentile
from tests.instance import CHECKOUT

_SHARED = {"alone_ms_p50": "<= 12", "requests_per_second_at_32": ">= 150"}
TARGETS = {
    "sqlite": {**_SHARED, "busy_ms_p99": "<= 300"},
    "postgresql": {**_SHARED, "busy_ms_p99": "<= 150"},
}
CLIENTS = 32
SECONDS = 8
BACKLOG = 15_000


def measure(bench: Bench) -> Figures:
    bench.instance.start_web()
    token = bench.instance.token()
    load(bench, token, clients=4, seconds=2)
    alone = load(bench, token, clients=1, seconds=SECONDS)
    crowd = load(bench, token, clients=CLIENTS, seconds=SECONDS)
    bench.start_worker()
    bench.queue_runs("bench_noops", BACKLOG)
    busy = load(bench, token, clients=1, seconds=SECONDS)
    if not Run.objects.filter(workflow="bench_noops", status=RunStatus.QUEUED).exists():
        raise RuntimeError("The worker was done before the clients were: raise BACKLOG.")
    return {
        "alone_ms_p50": milliseconds(percentile(alone, 50)),
        "alone_ms_p99": milliseconds(percentile(alone, 99)),
        "requests_per_second_at_32": round(len(crowd) / SECONDS, 1),
        "at_32_ms_p50": milliseconds(percentile(crowd, 50)),
        "at_32_ms_p99": milliseconds(percentile(crowd, 99)),
        "busy_ms_p50": milliseconds(percentile(busy, 50)),
        "busy_ms_p99": milliseconds(percentile(busy, 99)),
    }


def load(bench: Bench, token: str, *, clients: int, seconds: int, events: int = 0) -> list[float]:
    """Give the seconds that each request took: for a run or, if so is said, for so many events."""
    given = (bench.instance.port, token, clients, seconds, events)
    command = [sys.executable, "-m", "benchmarks.load", *map(str, given)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=seconds + 60)
    if done.returncode:
        raise RuntimeError(f"{done.stderr}\n{bench.instance.logs()}")
    taken: list[float] = json.loads(done.stdout)
    return taken
