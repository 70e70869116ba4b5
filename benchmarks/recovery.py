"""kill -9 of one of a cluster's two worker processes: how long until each of its runs goes on."""

from __future__ import annotations

import time
from uuid import UUID

from agents.models import Run, RunStatus
from benchmarks.harness import Bench, stamps_of
from benchmarks.report import Figures, both, percentile
from tests.instance import wait_until

TARGETS = both({"seconds_max": "<= 2"})
RUNS = 200
STAMPS = 100
PAUSE = 0.1


def measure(bench: Bench) -> Figures:
    cluster = bench.start_worker(processes=2)
    bench.warm_up()
    runs = bench.queue_runs("bench_stamps", RUNS, stamps=STAMPS, seconds=PAUSE)
    among = Run.objects.filter(id__in=runs)
    wait_until(lambda: among.filter(steps_done__gt=2).count() == RUNS, what="all runs to be under way")
    victim = max(bench.workers(cluster), key=lambda worker: among.filter(worker=worker).count())
    orphans = list(among.filter(worker=victim, status=RunStatus.RUNNING).values_list("id", flat=True))
    bench.instance.kill(victim.pid)
    killed = time.time()
    bench.wait_for_end(runs)
    taken = [_next_step(run, killed) - killed for run in orphans]
    return {
        "runs_of_the_killed": len(orphans),
        "seconds_p50": round(percentile(taken, 50), 3),
        "seconds_max": round(max(taken), 3),
    }


def _next_step(run: UUID, killed: float) -> float:
    """Give when the first step after the kill started."""
    return next(stamp for stamp in stamps_of(run) if stamp > killed)
