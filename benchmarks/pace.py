"""How fast worker processes do no-op runs, and what that takes of the machine's processors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import psutil

from agents.engine.canonical import JSON
from agents.engine.database_clock import database_now
from benchmarks.harness import Bench, cpu_seconds, database_pids
from benchmarks.workflows import SIX
from tests.instance import Process


@dataclass(frozen=True)
class Work:
    """What each of many runs does: a workflow on an input, for an agent or none, and how many steps that takes."""

    workflow: str
    input: JSON
    steps: int
    agent: str = ""


NOOPS = Work("bench_noops", {}, steps=SIX)


@dataclass(frozen=True)
class Pace:
    """What so many runs took, in seconds: of the clock, and of a processor by who used it."""

    runs: int
    steps: int
    """Of all runs."""
    seconds: float
    workers: float
    database: float
    machine: float
    """All that the machine's processors did meanwhile, for whomever."""

    @property
    def runs_per_second(self) -> float:
        return self.runs / self.seconds

    @property
    def steps_per_second(self) -> float:
        return self.steps / self.seconds

    @property
    def worker_us_per_step(self) -> float:
        return self.workers / self.steps * 1e6

    @property
    def database_us_per_step(self) -> float:
        return self.database / self.steps * 1e6

    @property
    def percent_of_machine(self) -> float:
        """How busy all processors were."""
        return 100 * self.machine / (self.seconds * len(os.sched_getaffinity(0)))

    @property
    def most_times_faster(self) -> float:
        """How much faster it could get if all processors did nothing but this, at the same price per run."""
        return len(os.sched_getaffinity(0)) * self.seconds / (self.workers + self.database)


def measure_pace(bench: Bench, clusters: Sequence[Process], runs: int, work: Work = NOOPS) -> Pace:
    """Queue so many runs at once, of six no-op steps if nothing else is said, and wait until all are done."""
    pids = [worker.pid for cluster in clusters for worker in bench.workers(cluster)]
    server = database_pids()
    ids = bench.queue_each(work.workflow, [work.input] * runs, agent=work.agent)
    queued_at = database_now()
    # The client's part, queueing them all, is over: from here on it only waits.
    workers, database, machine = cpu_seconds(*pids), cpu_seconds(*server), _busy_seconds()
    span = bench.wait_for_end(ids)
    return Pace(
        runs=runs,
        steps=runs * work.steps,
        seconds=(span.finished_at - min(queued_at, span.started_at)) / timedelta(seconds=1),
        workers=cpu_seconds(*pids) - workers,
        database=cpu_seconds(*server) - database,
        machine=_busy_seconds() - machine,
    )


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait)
