"""Runs of six no-op steps that return 1 KB each, driven by one worker process: from queued to done."""

from __future__ import annotations

from benchmarks.harness import Bench
from benchmarks.pace import measure_pace
from benchmarks.report import Figures, both

TARGETS = both({"runs_per_second": ">= 1000", "steps_per_second": ">= 6000"})
RUNS = 6000


def measure(bench: Bench) -> Figures:
    cluster = bench.start_worker()
    bench.warm_up()
    pace = measure_pace(bench, [cluster], RUNS)
    return {
        "runs": RUNS,
        "seconds": round(pace.seconds, 3),
        "runs_per_second": round(pace.runs_per_second, 1),
        "steps_per_second": round(pace.steps_per_second, 1),
        # What one step takes of a processor, whoever else uses it meanwhile.
        "worker_cpu_us_per_step": round(pace.worker_us_per_step, 1),
        "database_cpu_us_per_step": round(pace.database_us_per_step, 1),
    }
