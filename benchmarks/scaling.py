"""Two worker processes instead of one: how much faster, and what limits it.

Measured on what agents do (ask the model `offline`, call a tool, answer) and on the throughput's runs of no-op steps.
Client, workers and database share the machine's processors. `cpu_limit` is how
much faster two could be at best if nobody else took a processor and a run cost no more: the processors there are,
divided by those that one worker process and its share of the database keep busy.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_low

from benchmarks.harness import Bench
from benchmarks.pace import NOOPS, Pace, Work, measure_pace
from benchmarks.report import Figures

ENOUGH = ">= 1.6"
TARGETS: dict[str, dict[str, str]] = {
    "postgresql": {"agents_times_faster": ENOUGH, "noops_times_faster": ENOUGH},
    "sqlite": {},
}
AGENTS = Work("react", "What is 6 * 7?", agent="tool-agent", steps=4)
RUNS = {"agents": (AGENTS, 6000), "noops": (NOOPS, 12000)}
ROUNDS = 3
"""How often either is measured, by turns: a machine that others share is not equally fast all the time."""
WARM_UP_RUNS = 50


@dataclass(frozen=True)
class Round:
    """The paces of one worker process and of two, one after the other."""

    one: Pace
    two: Pace

    @property
    def times_faster(self) -> float:
        return self.one.seconds / self.two.seconds


def measure(bench: Bench) -> Figures:
    paces = [[_paces(bench, processes) for processes in (1, 2)] for _ in range(ROUNDS)]
    figures: Figures = {}
    for name in RUNS:
        rounds = [Round(one[name], two[name]) for one, two in paces]
        figures |= {f"{name}_{figure}": value for figure, value in _figures(rounds).items()}
    return figures


def _paces(bench: Bench, processes: int) -> dict[str, Pace]:
    cluster = bench.start_worker(processes=processes)
    bench.warm_up()
    measure_pace(bench, [cluster], WARM_UP_RUNS, AGENTS)
    paces = {name: measure_pace(bench, [cluster], count, work) for name, (work, count) in RUNS.items()}
    cluster.stop()
    return paces


def _figures(rounds: list[Round]) -> Figures:
    """Give the figures of the round in the middle, and how far the others lie from it."""
    middle = median_low(each.times_faster for each in rounds)
    typical = next(each for each in rounds if each.times_faster == middle)
    figures: Figures = {
        "times_faster": round(middle, 2),
        "least_times_faster": round(min(each.times_faster for each in rounds), 2),
        "most_times_faster": round(max(each.times_faster for each in rounds), 2),
        "cpu_limit": round(typical.one.most_times_faster, 2),
    }
    for name, pace in (("one", typical.one), ("two", typical.two)):
        figures |= {
            f"{name}_runs_per_second": round(pace.runs_per_second, 1),
            f"{name}_worker_cpu_us_per_step": round(pace.worker_us_per_step, 1),
            f"{name}_database_cpu_us_per_step": round(pace.database_us_per_step, 1),
            f"{name}_percent_of_machine": round(pace.percent_of_machine, 1),
        }
    return figures
