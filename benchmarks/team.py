"""A team whose plan has 100 tasks, each a sub-run of six 1 s steps, all at once on one worker process."""

from __future__ import annotations

from agents.models import Run
from benchmarks.harness import Bench, Memory
from benchmarks.report import Figures, both

TASKS = 100
TARGETS = both({"seconds": "<= 9"})


def measure(bench: Bench) -> Figures:
    (worker,) = bench.workers(bench.start_worker())
    bench.warm_up()
    memory = Memory(worker.pid)
    id = bench.start_run("bench_team", tasks=TASKS).id
    span = bench.wait_for_end([id])
    parent = Run.objects.get(pk=id)
    if parent.output != TASKS:
        raise RuntimeError(f"{parent.output} of {TASKS} tasks are done.")
    return {
        "sub_runs": TASKS,
        "seconds": round(span.seconds, 2),
        "replays_of_parent": parent.epoch - 1,
        "megabytes": round(memory.most_over_idle() / 1e6, 1),
    }
