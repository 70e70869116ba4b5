"""The memory of one worker process: idle, and while a great many runs pass through it one after the other.

What is resident (`megabytes_after_…`, and `megabytes_at_most` at any moment) has three parts. Pages of files, like the
libraries and SQLite's index of its log, belong to the kernel, which takes them back (`file_megabytes_after_all`). Pools
and caches grow to what the fullest moment needed and stay there: the room for 500 runs at once, and the page caches of
the connections, of which housekeeping fills its own when it comes round, once a minute. And there would be what runs
leave behind.

A leak is in each tenth of the runs, a pool that fills is in one. So `bytes_left_per_run` is the median of what the
tenths added, and `megabytes_grown` is all that came after the first fifth, pools too, of which there are a few of 2 MB
each. `largest_step_megabytes` is what the worst tenth added. These three leave the pages of files out.
"""

from __future__ import annotations

import gc
from itertools import pairwise
from statistics import median

from benchmarks.harness import Bench, Memory
from benchmarks.report import Figures, both

PARTS = 10
TARGETS = both({"bytes_left_per_run": "<= 10", "megabytes_grown": "<= 10"})


def measure(bench: Bench) -> Figures:
    cluster = bench.start_worker()
    (worker,) = bench.workers(cluster)
    memory = Memory(worker.pid)
    idle, held, own = memory.now(), [], []
    for _ in range(PARTS):
        bench.wait_for_end(bench.queue_runs("bench_noops", bench.runs // PARTS))
        held.append(memory.now())
        own.append(memory.own())
        # What this process has queued need not stay in its memory either.
        gc.collect()
    # In the first fifth caches and pools fill.
    late = own[PARTS // 5 - 1 :]
    steps = [after - before for before, after in pairwise(late)]
    return {
        "idle_megabytes": _megabytes(idle),
        "runs": bench.runs,
        "megabytes_after_a_tenth": _megabytes(held[0]),
        "megabytes_after_a_fifth": _megabytes(held[PARTS // 5 - 1]),
        "megabytes_after_a_half": _megabytes(held[PARTS // 2 - 1]),
        "megabytes_after_all": _megabytes(held[-1]),
        "file_megabytes_after_all": _megabytes(held[-1] - own[-1]),
        "megabytes_at_most": _megabytes(memory.most()),
        "megabytes_grown": _megabytes(late[-1] - late[0]),
        "largest_step_megabytes": _megabytes(max(steps)),
        "bytes_left_per_run": round(median(steps) / (bench.runs // PARTS), 1),
    }


def _megabytes(amount: int) -> float:
    return round(amount / 1e6, 1)
