"""Two worker processes instead of one, on the throughput's work: how much faster, and what limits it.

Client, workers and database share the machine's processors. `cpu_limit` is how much faster two could be at best if
nobody else took a processor and a run cost no more: the processors there are, divided by those that one worker process
and its share of the database keep busy. All figures are those of the round in the middle.
"""

from __future__ import annotations

from benchmarks.harness import Bench
from benchmarks.pace import Pace, measure_pace
from benchmarks.report import Figures

TARGETS: dict[str, dict[str, str]] = {"postgresql": {"times_faster": ">= 1.6"}, "sqlite": {}}
RUNS = 8000
ROUNDS = 3
"""How often either is measured, by turns: a machine that others share is not equally fast all the time."""


def measure(bench: Bench) -> Figures:
    rounds = [[_pace(bench, processes) for processes in (1, 2)] for _ in range(ROUNDS)]
    one, two = (sorted(paces, key=lambda pace: pace.seconds)[ROUNDS // 2] for paces in zip(*rounds, strict=True))
    return {
        "times_faster": round(one.seconds / two.seconds, 2),
        "cpu_limit": round(one.most_times_faster, 2),
        **_figures("one", one),
        **_figures("two", two),
    }


def _pace(bench: Bench, processes: int) -> Pace:
    cluster = bench.start_worker(processes=processes)
    bench.warm_up()
    pace = measure_pace(bench, [cluster], RUNS)
    cluster.stop()
    return pace


def _figures(name: str, pace: Pace) -> Figures:
    return {
        f"{name}_runs_per_second": round(pace.runs_per_second, 1),
        f"{name}_worker_cpu_us_per_step": round(pace.worker_us_per_step, 1),
        f"{name}_database_cpu_us_per_step": round(pace.database_us_per_step, 1),
        f"{name}_percent_of_machine": round(pace.percent_of_machine, 1),
    }
