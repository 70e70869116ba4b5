"""The verdict on a chaos that is over: what was broken, and the figures of what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.models import Run, RunStatus, Wait, Worker, WorkerState
from tests.chaos.checks import Circumstances, check
from tests.chaos.ledger import Ledger
from tests.chaos.outside import Outside
from tests.chaos.traces import Trace, traces

MOST_DUMPS = 20
FAILURES = ("a task of the worker failed", "was refused:", "the driver of worker process")
"""What the product logs when something happened that its code does not provide for."""


@dataclass
class Verdict:
    """Breaches in words, and counts."""

    breaches: list[str] = field(default_factory=list)
    runs: Counter[str] = field(default_factory=Counter)
    sub_runs: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    effects: int = 0
    executed_again: int = 0

    def figures(self) -> dict[str, Any]:
        """Give the counts as they are printed."""
        return {
            "runs": dict(self.runs),
            "sub_runs": dict(self.sub_runs),
            "steps": self.steps,
            "effects": self.effects,
            "executed_again": self.executed_again,
        }


def judge(ledger: Ledger, outside: Outside, circumstances: Circumstances, folder: Path) -> Verdict:
    """Look at every run. The trace of one that breaks a rule is written into the folder."""
    verdict = Verdict(breaches=[*ledger.problems, *_whole(ledger), *_failures(folder)])
    effects = outside.by_run()
    for trace in traces(ledger.runs, effects):
        _count(verdict, trace)
        found = list(check(trace, circumstances))
        if found and len(list(folder.glob("run-*.json"))) < MOST_DUMPS:
            (folder / f"run-{trace.id}.json").write_text(trace.dump())
        verdict.breaches += [f"run {trace.id}: {words}" for words in found]
    verdict.effects = sum(len(of_run) for of_run in effects.values())
    return verdict


def _whole(ledger: Ledger) -> Iterator[str]:
    """Give what is wrong with the tables as a whole."""
    accepted = ledger.started()
    there = {str(id) for id in Run.objects.filter(idempotency_key__startswith="chaos-").values_list("pk", flat=True)}
    for run in accepted.keys() - there:
        yield f"run {run}: was accepted and does not exist"
    for run in there - accepted.keys():
        yield f"run {run}: exists and was never acknowledged, however often the client asked"
    for wait in Wait.objects.exclude(run__status=RunStatus.WAITING):
        yield f"run {wait.run_id}: does not wait and has a wait: {wait}"
    for worker in Worker.objects.filter(state__in=(WorkerState.ALIVE, WorkerState.DRAINING)):
        yield f"worker {worker.pk}: is {worker.state} after everything was stopped"


def _failures(folder: Path) -> Iterator[str]:
    """Give what the logs tell of failures that nobody should see."""
    for log in sorted(folder.glob("*.log")):
        with log.open(errors="replace") as lines:
            told = [line.strip() for line in lines if any(words in line for words in FAILURES)]
        if told:
            yield f"{log.name} has {len(told)} failures, first: {told[0]}"


def _count(verdict: Verdict, trace: Trace) -> None:
    counts = verdict.runs if trace.run.parent_id is None else verdict.sub_runs
    counts["started"] += 1
    counts[str(trace.run.status)] += 1
    verdict.steps += trace.run.steps_done
    times: Counter[str] = Counter(effect.key for effect in trace.effects)
    verdict.executed_again += sum(count - 1 for count in times.values())
