"""An idle instance: how long until a run's first step starts, and what one step of a lone run takes."""

from __future__ import annotations

import random
import time
from itertools import pairwise

from benchmarks.harness import Bench, stamps_of
from benchmarks.report import Figures, milliseconds, percentile

TARGETS = {
    "postgresql": {"first_step_ms_p50": "<= 10", "step_ms_p50": "<= 3"},
    "sqlite": {"first_step_ms_p50": "<= 30", "step_ms_p50": "<= 2"},
}
RUNS = 100
STEPS = 300


def measure(bench: Bench) -> Figures:
    bench.start_worker()
    bench.warm_up()
    starts = [_first_step(bench) for _ in range(RUNS)]
    steps = _steps(bench)
    return {
        "runs": RUNS,
        "first_step_ms_p50": milliseconds(percentile(starts, 50)),
        "first_step_ms_p95": milliseconds(percentile(starts, 95)),
        "steps": STEPS,
        "step_ms_p50": milliseconds(percentile(steps, 50)),
        "step_ms_p95": milliseconds(percentile(steps, 95)),
    }


def _first_step(bench: Bench) -> float:
    """Give the seconds from the commit that accepts a run to the start of its first step."""
    # At any point of the polling loops, not always at the same one.
    time.sleep(random.uniform(0.05, 0.25))
    run = bench.start_run("bench_stamps")
    accepted = time.time()
    bench.wait_for_end([run.id])
    return stamps_of(run.id)[0] - accepted


def _steps(bench: Bench) -> list[float]:
    """Give the seconds from the start of each step to that of the next: between them lies its commit."""
    run = bench.start_run("bench_stamps", stamps=STEPS)
    bench.wait_for_end([run.id])
    return [later - earlier for earlier, later in pairwise(stamps_of(run.id))]
