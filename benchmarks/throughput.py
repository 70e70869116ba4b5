"""Runs of six no-op steps that return 1 KB each, driven by one worker process: from queued to done."""

from __future__ import annotations

from datetime import timedelta

from agents.engine.database_clock import database_now
from benchmarks.harness import Bench
from benchmarks.report import Figures, both
from benchmarks.workflows import SIX

TARGETS = both({"runs_per_second": ">= 1000", "steps_per_second": ">= 6000"})
RUNS = 6000


def measure(bench: Bench) -> Figures:
    bench.start_worker()
    bench.warm_up()
    runs = bench.queue_runs("bench_noops", RUNS)
    queued_at = database_now()
    span = bench.wait_for_end(runs)
    seconds = (span.finished_at - min(queued_at, span.started_at)) / timedelta(seconds=1)
    return {
        "runs": RUNS,
        "seconds": round(seconds, 3),
        "runs_per_second": round(RUNS / seconds, 1),
        "steps_per_second": round(RUNS * SIX / seconds, 1),
    }
