"""500 runs of 100 recorded steps each lose their cluster: how long from when another one notices until all go on."""

from __future__ import annotations

import time

from agents.models import Run, Worker, WorkerState
from benchmarks.harness import Bench, wait_for_stamps
from benchmarks.report import Figures, both, percentile
from tests.instance import wait_until

TARGETS = both({"seconds_from_notice_max": "<= 3"})
RUNS = 500
STEPS = 100
PAUSE = 2.0
"""What a run does besides: so little that the takeover has the machine for itself."""


def measure(bench: Bench) -> Figures:
    cluster = bench.start_worker(slots=RUNS)
    bench.warm_up()
    runs = bench.queue_runs("bench_stamps", RUNS, noops=STEPS, stamps=100_000, seconds=PAUSE)
    among = Run.objects.filter(id__in=runs)
    wait_until(lambda: among.filter(steps_done__gt=STEPS).count() == RUNS, 120.0, "all steps to be recorded")
    (victim,) = bench.workers(cluster)
    bench.start_worker(slots=RUNS)
    killed = time.time()
    # Its processes die with their parent; nobody of its own is left to take over.
    bench.instance.kill(cluster)
    stamps = wait_for_stamps(runs, killed)
    noticed = Worker.objects.get(pk=victim.pk, state=WorkerState.DEAD).stopped_at
    assert noticed is not None
    taken = [stamp - noticed.timestamp() for stamp in stamps]
    return {
        "runs": RUNS,
        "steps_each": STEPS,
        "notice_seconds": round(noticed.timestamp() - killed, 3),
        "seconds_from_notice_p50": round(percentile(taken, 50), 3),
        "seconds_from_notice_max": round(max(taken), 3),
    }
