"""A run that starts 1,000 sub-runs at once and waits for all of them: how often it is replayed, how long it takes.

Once with sub-runs that end at once, so that the parent keeps its worker, and once with such that wait: it parks.
"""

from __future__ import annotations

from agents.models import Run
from benchmarks.harness import Bench
from benchmarks.report import Figures, both

CHILDREN = 1000
WAITS = {"quick": 0.0, "slow": 1.0}
TARGETS = both({f"replays_of_{name}": "<= 3" for name in WAITS})


def measure(bench: Bench) -> Figures:
    bench.start_worker()
    bench.warm_up()
    figures: Figures = {"children": CHILDREN}
    for name, seconds in WAITS.items():
        id = bench.start_run("bench_join", children=CHILDREN, seconds=seconds).id
        span = bench.wait_for_end([id])
        parent = Run.objects.get(pk=id)
        if parent.output != CHILDREN:
            raise RuntimeError(f"{parent.output} of {CHILDREN} sub-runs gave an answer.")
        # Each claim after the first runs the workflow's function again from the top.
        figures[f"replays_of_{name}"] = parent.epoch - 1
        figures[f"seconds_of_{name}"] = round(span.seconds, 2)
    return figures
