"""One workspace has 10,000 runs queued: how soon do others and the urgent start, and does the backlog go on?"""

from __future__ import annotations

import time
from uuid import UUID

from agents.models import Run, RunStatus, Workspace
from agents.services.runs import start_run
from benchmarks.harness import Bench, stamps_of
from benchmarks.report import Figures, both, milliseconds, percentile

TARGETS = both({"other_first_step_ms_max": "<= 1000", "high_first_step_ms_max": "<= 1000", "backlog_per_second": "> 0"})
BACKLOG = 10_000
TIMES = 10
HIGH = 10
GAP = 0.1


def measure(bench: Bench) -> Figures:
    bench.start_worker()
    bench.warm_up()
    others = [Workspace.objects.create(slug=f"other-{n}", name=f"Other {n}") for n in range(TIMES)]
    backlog = bench.queue_runs("bench_noops", BACKLOG)
    # All slots are taken, and as many runs as ever wait.
    while not (done := _ended(backlog)):
        time.sleep(0.05)
    began = time.monotonic()
    other = [_first_step(bench, workspace, 0) for workspace in others]
    high = [_first_step(bench, bench.workspace, HIGH) for _ in range(TIMES)]
    seconds, left = time.monotonic() - began, BACKLOG - _ended(backlog)
    if not left:
        raise RuntimeError("The backlog was gone before all was measured.")
    figures = {
        "backlog": BACKLOG,
        "other_first_step_ms_p50": milliseconds(percentile(other, 50)),
        "other_first_step_ms_max": milliseconds(max(other)),
        "high_first_step_ms_p50": milliseconds(percentile(high, 50)),
        "high_first_step_ms_max": milliseconds(max(high)),
        "backlog_per_second": round((BACKLOG - left - done) / seconds, 1),
        "backlog_left": left,
    }
    bench.wait_for_end(backlog)
    return figures


def _ended(runs: list[UUID]) -> int:
    return Run.objects.filter(
        id__range=(min(runs), max(runs)), status=RunStatus.SUCCEEDED, workflow="bench_noops"
    ).count()


def _first_step(bench: Bench, workspace: Workspace, priority: int) -> float:
    """Give the seconds from the commit that accepts a run to the start of its first step."""
    time.sleep(GAP)
    run = start_run(workspace=workspace, workflow="bench_stamps", input={}, priority=priority)
    accepted = time.time()
    bench.wait_for_end([run.pk])
    return stamps_of(run.pk)[0] - accepted
