"""Bytes stored per step of a run, with outcomes of 1 KB: run, steps, events and indexes, for short and long runs."""

from __future__ import annotations

from benchmarks.harness import Bench, stored_bytes
from benchmarks.report import Figures, both

SHAPES = {10: 500, 1000: 10}
"""Steps per run, and how many such runs."""
TARGETS = both({f"bytes_per_step_of_{steps}": "<= 2048" for steps in SHAPES})


def measure(bench: Bench) -> Figures:
    bench.start_worker()
    bench.warm_up()
    figures: Figures = {}
    for steps, count in SHAPES.items():
        before = stored_bytes()
        bench.wait_for_end(bench.queue_runs("bench_noops", count, steps=steps))
        figures[f"bytes_per_step_of_{steps}"] = round((stored_bytes() - before) / (steps * count))
    return figures
