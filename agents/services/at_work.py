"""How many runs of an agent are at work, and what the others wait for."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count

from agents.models import Agent, AgentVersion, Run, RunStatus, Wait, WaitKind
from agents.models.run import RunQuerySet
from agents.services.run_caps import RunningCap, running_caps

COUNTED = 10_000
"""Runs of each status that are counted at most."""
_WORDS = {
    WaitKind.TIMER: "a timer",
    WaitKind.CHILD: "sub-runs",
    WaitKind.EVENT: "an event",
    WaitKind.PERSON: "a person",
    WaitKind.PAUSED: "somebody who resumes them",
    WaitKind.CHANGED: "a decision: their workflow has changed",
    WaitKind.UNKNOWN: "a decision: an outcome is unknown",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """What some runs wait for, in words, and how many do. One that waits for several things counts for each."""

    words: str
    runs: int


@dataclass(frozen=True, slots=True)
class AtWork:
    """An agent's runs that have not ended, and the caps on running runs that hold for them."""

    running: int
    queued: int
    waiting: int
    causes: tuple[Cause, ...]
    caps: tuple[RunningCap, ...]

    @property
    def is_idle(self) -> bool:
        return not (self.running or self.queued or self.waiting)


def at_work(agent: Agent) -> AtWork:
    """Tell what the runs of an agent are doing."""
    versions = list(AgentVersion.objects.filter(agent=agent).values_list("pk", flat=True))
    runs = Run.objects.filter(agent_version__in=versions).order_by()
    waiting = runs.filter(workspace=agent.workspace_id, status=RunStatus.WAITING)
    return AtWork(
        running=runs.filter(status=RunStatus.RUNNING)[:COUNTED].count(),
        queued=runs.filter(status=RunStatus.QUEUED)[:COUNTED].count(),
        waiting=(count := waiting[:COUNTED].count()),
        causes=_causes(waiting) if count else (),
        caps=tuple(cap for cap in running_caps(agent.workspace) if cap.agent in ("", agent.name)),
    )


def _causes(waiting: RunQuerySet) -> tuple[Cause, ...]:
    """Count runs by what they wait for: each limit by its name, all else by its kind; the most frequent first."""
    waits = Wait.objects.filter(run__in=waiting.values("pk")[:COUNTED]).order_by()
    counted = Count("run", distinct=True)
    limits = waits.filter(kind=WaitKind.SLOT).values_list("name").annotate(counted)
    others = waits.exclude(kind=WaitKind.SLOT).values_list("kind").annotate(counted)
    found = [Cause(f"limit {name}", runs) for name, runs in limits]
    found += [Cause(_WORDS.get(WaitKind(kind), WaitKind(kind).label), runs) for kind, runs in others]
    return tuple(sorted(found, key=lambda cause: (-cause.runs, cause.words)))
