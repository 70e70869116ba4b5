"""kill -9 of worker processes: how long until each of their runs goes on.

First one of a cluster's two processes is killed: its siblings look after its runs. Then a whole machine: a cluster in a
namespace of process ids of its own counts as one, all of it ends at once, and only its silence tells of it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import UUID

from agents.engine.leases import host_id
from agents.models import Run, RunStatus, Worker, WorkerState
from agents.services.runs import cancel_run
from benchmarks.harness import Bench, wait_for_stamps
from benchmarks.report import Figures, both, percentile
from tests.instance import Process, wait_until

TARGETS = both({"seconds_max": "<= 2", "other_machine_seconds_max": "<= 10"})
RUNS = 200
STAMPS = 100_000
PAUSE = 0.2
OTHER_MACHINE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def measure(bench: Bench) -> Figures:
    cluster = bench.start_worker(processes=2)
    bench.warm_up()
    process = _measure_process(bench, cluster)
    cluster.stop()
    machine = _measure_machine(bench)
    return {
        "runs_of_the_killed": len(process),
        "seconds_p50": round(percentile(process, 50), 3),
        "seconds_max": round(max(process), 3),
        "runs_of_the_other_machine": len(machine),
        "other_machine_seconds_p50": round(percentile(machine, 50), 3),
        "other_machine_seconds_max": round(max(machine), 3),
    }


def _measure_process(bench: Bench, cluster: Process) -> list[float]:
    """Kill the worker process that holds the most; give the seconds until each of its runs goes on."""
    runs = _begin_runs(bench)
    victim = max(bench.workers(cluster), key=lambda worker: len(_held(worker)))
    orphans = _held(victim)
    killed = time.time()
    bench.instance.kill(victim.pid)
    taken = [stamp - killed for stamp in wait_for_stamps(orphans, killed)]
    _end(runs)
    return taken


def _measure_machine(bench: Bench) -> list[float]:
    """Kill all of another machine's cluster; give the seconds until each of its runs goes on."""
    far = bench.instance.start("worker", "--queue", "runs", name="far", within=OTHER_MACHINE, WORKERS="1")
    others = Worker.objects.filter(state=WorkerState.ALIVE).exclude(host_id=host_id())
    wait_until(others.exists, 60.0, "the other machine's worker")
    victim = others.get()
    runs = _begin_runs(bench)
    near = bench.start_worker()
    orphans = _held(victim)
    killed = time.time()
    # The first process of the namespace: with it goes all of it, at once.
    bench.instance.kill(far.children()[0])
    taken = [stamp - killed for stamp in wait_for_stamps(orphans, killed)]
    _end(runs)
    near.stop()
    return taken


def _begin_runs(bench: Bench) -> list[UUID]:
    """Queue runs that take a while; return when all are under way."""
    runs = bench.queue_runs("bench_stamps", RUNS, stamps=STAMPS, seconds=PAUSE)
    among = Run.objects.filter(id__in=runs)
    wait_until(lambda: among.filter(steps_done__gt=2).count() == RUNS, 60.0, "all runs to be under way")
    return runs


def _held(worker: Worker) -> list[UUID]:
    return list(Run.objects.filter(worker=worker, status=RunStatus.RUNNING).values_list("id", flat=True))


def _end(runs: Sequence[UUID]) -> None:
    for run in Run.objects.filter(id__in=runs):
        cancel_run(run, by=None)
    wait_until(lambda: not Run.objects.filter(id__in=runs).active().exists(), 60.0, "the runs to end")
