"""Many runs of six waits of one second at once in one worker process: how long beyond six seconds, how much memory."""

from __future__ import annotations

from benchmarks.harness import Bench, Memory
from benchmarks.report import Figures, both

TARGETS = both(
    {
        "seconds_of_500": "<= 6.6",
        "megabytes_of_500": "<= 150",
        "seconds_of_2000": "<= 8",
        "megabytes_of_2000": "<= 300",
    }
)
COUNTS = (500, 2000, 5000)


def measure(bench: Bench) -> Figures:
    figures: Figures = {}
    for count in COUNTS:
        # A new worker each time: memory that earlier runs left behind would flatter the figure.
        cluster = bench.start_worker(slots=count)
        (worker,) = bench.workers(cluster)
        memory = Memory(worker.pid)
        span = bench.wait_for_end(bench.queue_runs("bench_waits", count))
        figures[f"seconds_of_{count}"] = round(span.seconds, 2)
        figures[f"megabytes_of_{count}"] = round(memory.most_over_idle() / 1e6, 1)
        figures[f"bytes_per_run_of_{count}"] = round(memory.most_over_idle() / count)
        cluster.stop()
    return figures
