"""Runs that wait for events: how many park in a second, and how soon they go on once an event is there for them.

Beside them, for comparison, runs that park for a timer. `one_event` wakes all with a single event, `own_events` each
with its own, told of in hundreds. `came_before` is an event that was there when the runs began to wait.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from agents.models import Run, RunStatus
from agents.services.events import NewEvent, emit_event, emit_events
from benchmarks.harness import Bench
from benchmarks.report import Figures, both
from tests.instance import wait_until

RUNS = 1_000
AT_ONCE = 100
PATIENCE = 120.0
TARGETS = both({"parked_per_second": ">= 500", "one_event_seconds": "<= 3", "own_events_seconds": "<= 6"})


def measure(bench: Bench) -> Figures:
    bench.start_worker()
    bench.warm_up()
    timers = _park(bench, bench.queue_runs("bench_sleeps", RUNS, seconds=86_400.0))
    figures: Figures = {"runs": RUNS, "timers_parked_per_second": timers}

    runs = bench.queue_runs("bench_hears", RUNS, name="bench.all")
    figures["parked_per_second"] = _park(bench, runs)
    began = time.monotonic()
    with transaction.atomic():
        emit_event(bench.workspace, "bench.all")
    bench.wait_for_end(runs)
    figures["one_event_seconds"] = round(time.monotonic() - began, 2)

    runs = bench.queue_each("bench_hears", [{"name": "bench.own", "number": number} for number in range(RUNS)])
    figures["own_parked_per_second"] = _park(bench, runs)
    began = time.monotonic()
    for start in range(0, RUNS, AT_ONCE):
        told = [NewEvent(name="bench.own", data={"number": number}) for number in range(start, start + AT_ONCE)]
        with transaction.atomic():
            emit_events(bench.workspace, told)
    bench.wait_for_end(runs)
    figures["own_events_seconds"] = round(time.monotonic() - began, 2)

    began = time.monotonic()
    bench.wait_for_end(bench.queue_runs("bench_hears_itself", RUNS))
    figures["came_before_seconds"] = round(time.monotonic() - began, 2)
    return figures


def _park(bench: Bench, runs: Sequence[UUID]) -> float:
    """Wait until all of these runs are parked; give how many were in a second, from when they were queued."""
    began = Run.objects.only("created_at").get(pk=runs[0]).created_at.timestamp()
    among = Run.objects.filter(id__range=(min(runs), max(runs)), status=RunStatus.WAITING)
    wait_until(lambda: among.count() == len(runs), PATIENCE, "all runs to be parked")
    return round(len(runs) / (time.time() - began), 1)
