"""Two worker processes instead of one, on the throughput's work: how much faster, and what limits it.

Client, workers and database share the machine's processors. `cpu_limit` is how much faster two could be at best if
nobody else took a processor and a run cost no more: the processors there are, divided by those that one worker process
and its share of the database keep busy.
"""

from __future__ import annotations

from benchmarks.harness import Bench
from benchmarks.pace import Pace, measure_pace
from benchmarks.report import Figures

TARGETS: dict[str, dict[str, str]] = {"postgresql": {"times_faster": ">= 1.6"}, "sqlite": {}}
RUNS = 4000
TIMES = 2


def measure(bench: Bench) -> Figures:
    one, two = (_best(bench, processes) for processes in (1, 2))
    return {
        "times_faster": round(one.seconds / two.seconds, 2),
        "cpu_limit": round(one.most_times_faster, 2),
        **_figures("one", one),
        **_figures("two", two),
    }


def _best(bench: Bench, processes: int) -> Pace:
    cluster = bench.start_worker(processes=processes)
    bench.warm_up()
    paces = [measure_pace(bench, [cluster], RUNS) for _ in range(TIMES)]
    cluster.stop()
    return min(paces, key=lambda pace: pace.seconds)


def _figures(name: str, pace: Pace) -> Figures:
    return {
        f"{name}_runs_per_second": round(pace.runs_per_second, 1),
        f"{name}_worker_cpu_us_per_step": round(pace.worker_us_per_step, 1),
        f"{name}_database_cpu_us_per_step": round(pace.database_us_per_step, 1),
        f"{name}_percent_of_machine": round(pace.percent_of_machine, 1),
    }
