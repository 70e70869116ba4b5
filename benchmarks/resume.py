"""A paused run of 1,000 recorded steps is resumed: how long until it does something new."""

from __future__ import annotations

import time

from agents.models import Run, RunStatus
from agents.services.runs import cancel_run, pause_run, resume_run
from benchmarks.harness import Bench, stamps_of
from benchmarks.report import Figures, both, percentile
from tests.instance import wait_until

TARGETS = both({"seconds_p50": "<= 0.3"})
STEPS = 1000
TIMES = 7


def measure(bench: Bench) -> Figures:
    bench.start_worker()
    bench.warm_up()
    run = bench.start_run("bench_stamps", noops=STEPS, stamps=10_000, seconds=0.05)
    wait_until(lambda: stamps_of(run.id), 60.0, f"{STEPS} steps")
    taken = [_resume(run) for _ in range(TIMES)]
    cancel_run(run, by=None)
    return {
        "steps": STEPS,
        "times": TIMES,
        "seconds_p50": round(percentile(taken, 50), 3),
        "seconds_max": round(max(taken), 3),
    }


def _resume(run: Run) -> float:
    """Pause the run, resume it; give the seconds until its next step starts."""
    pause_run(run, by=None)
    wait_until(lambda: Run.objects.get(pk=run.pk).status == RunStatus.WAITING, what="the pause")
    known, epoch = len(stamps_of(run.id)), Run.objects.get(pk=run.pk).epoch
    resume_run(run, by=None)
    resumed = time.time()
    wait_until(lambda: len(stamps_of(run.id)) > known, what="the first new step")
    if Run.objects.get(pk=run.pk).epoch == epoch:
        raise RuntimeError("The run was not claimed anew, so nothing was replayed.")
    return stamps_of(run.id)[known] - resumed
