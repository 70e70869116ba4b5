"""The memory of one worker process: idle, and while a great many runs pass through it one after the other."""

from __future__ import annotations

import gc

from django.db import reset_queries

from benchmarks.harness import Bench, Memory
from benchmarks.report import Figures, both

PARTS = 10
TARGETS = both({"bytes_grown_per_run": "<= 10"})


def measure(bench: Bench) -> Figures:
    cluster = bench.start_worker()
    (worker,) = bench.workers(cluster)
    memory = Memory(worker.pid)
    idle, held = memory.now(), []
    for _ in range(PARTS):
        bench.wait_for_end(bench.queue_runs("bench_noops", bench.runs // PARTS))
        held.append(memory.now())
        reset_queries()
        gc.collect()
    # In the first fifth caches and pools fill.
    early, late = held[PARTS // 5 - 1], held[-1]
    return {
        "idle_megabytes": round(idle / 1e6, 1),
        "runs": bench.runs,
        "megabytes_after_a_tenth": round(held[0] / 1e6, 1),
        "megabytes_after_a_fifth": round(early / 1e6, 1),
        "megabytes_after_a_half": round(held[PARTS // 2 - 1] / 1e6, 1),
        "megabytes_after_all": round(late / 1e6, 1),
        "bytes_grown_per_run": round((late - early) / (bench.runs * 0.8), 1),
    }
