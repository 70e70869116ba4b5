"""What a fork, a retry or a resume would reuse, what would run again, and which effects that has outside."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from agents.engine import forking, retrying
from agents.engine.records import STARTING_RUNS
from agents.engine.windows import window_runs
from agents.models import Run, Step, StepStatus
from agents.models.step import BOOKKEEPING
from agents.services.errors import Conflict, NotFound

CHUNK = 500
MAX_EFFECTS = 200
"""Effects that are named; more are counted."""
_ACTING = ("tool", "step")
_EXECUTED = ("think", "compact", "tool", "step", "artifact")
"""Kinds of steps that are executed; the others wait."""
_AT_WORK = (StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect that a step has had outside, or may have had, and that may be had again.

    `effect` is "idempotent" if doing it twice is as doing it once, "unsafe" if it does harm.
    """

    run_id: UUID
    key: str
    kind: str
    name: str
    effect: str
    status: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What is reused and what runs again, in the order in which it started; a step that is edited is in neither.

    `sub_runs` is how many runs below are started anew; `more_effects` how many effects are not listed.
    """

    reused: tuple[Step, ...]
    again: tuple[Step, ...]
    effects: tuple[Effect, ...] = ()
    more_effects: int = 0
    sub_runs: int = 0
    edited: str = ""

    @property
    def unsafe(self) -> tuple[Effect, ...]:
        """The effects that do harm when they are had twice."""
        return tuple(effect for effect in self.effects if effect.effect == "unsafe")


def preview_fork(run: Run, *, step: str = "", is_edited: bool = False) -> Preview:
    """Say what a fork from a step, or from the beginning, would do; raises NotFound if there is no such step."""
    steps = forking.steps_to_divide(run)
    chosen = chosen_step(steps, step)
    division = forking.divide(steps, chosen, is_edited=is_edited)
    return preview_division(run, division, chosen if is_edited else None)


def preview_division(run: Run, division: forking.Division, edited: Step | None) -> Preview:
    """Say what a fork that divides the run's steps like this would do."""
    return _preview(run, division.kept, division.again, edited=edited.key if edited is not None else "")


def preview_retry(run: Run) -> Preview:
    """Say what a retry would do; raises Conflict for a run that can't be retried."""
    if run.status not in retrying.RETRIED:
        raise Conflict(f"The run is {run.status}; only a failed or cancelled run can be retried.")
    return _go_on(run, set(retrying.superseded_by_retry(run)))


def preview_resume(run: Run) -> Preview:
    """Say what resuming would do; raises Conflict for a run that has ended."""
    if run.has_ended:
        raise Conflict(f"The run has {run.status}; only a paused run can be resumed.")
    return _go_on(run, set())


def chosen_step(steps: Iterable[Step], key: str) -> Step | None:
    """Give the step of that key, None for none; raises NotFound."""
    if not key:
        return None
    found = next((step for step in steps if step.key == key), None)
    if found is None:
        raise NotFound(f"The run has no step {key!r}.")
    return found


def _go_on(run: Run, set_aside: Collection[str]) -> Preview:
    steps = list(forking.steps_to_divide(run))
    again = [s for s in steps if s.key in set_aside or (s.kind in _EXECUTED and s.status in _AT_WORK)]
    known = {step.key for step in again}
    reused = [step for step in steps if step.status in forking.DONE and step.key not in known]
    return _preview(run, reused, again)


def _preview(run: Run, reused: Sequence[Step], again: Sequence[Step], *, edited: str = "") -> Preview:
    effects = [_effect(step) for step in again if _acts(step)]
    below, more = _below(run, {step.key for step in again if step.kind in STARTING_RUNS}, MAX_EFFECTS - len(effects))
    more += max(0, len(effects) - MAX_EFFECTS)
    return Preview(
        reused=_shown(reused),
        again=_shown(again),
        effects=(*effects[:MAX_EFFECTS], *below.effects),
        more_effects=more,
        sub_runs=below.runs,
        edited=edited,
    )


@dataclass(slots=True)
class _Below:
    runs: int
    effects: list[Effect]


def _below(run: Run, keys: set[str], room: int) -> tuple[_Below, int]:
    """Go through the runs that these steps started, and through all below them."""
    found, more = _Below(0, []), 0
    children = Run.objects.filter(parent=run.pk).values_list("pk", "parent_key") if keys else ()
    windows = Step.objects.filter(run=run.pk, kind="each", key__in=keys, superseded=False)
    mapped = {id for input in windows.values_list("input", flat=True) for id in window_runs(input or {})}
    level = [pk for pk, key in children if key in keys or pk in mapped]
    while level:
        found.runs += len(level)
        following: list[UUID] = []
        for start in range(0, len(level), CHUNK):
            ids = level[start : start + CHUNK]
            steps = Step.objects.filter(run__in=ids, superseded=False, kind__in=_ACTING).exclude(effect="none")
            left = max(0, room - len(found.effects))
            found.effects += [_effect(step) for step in _light(steps.order_by("id"))[:left]]
            more += max(0, steps.count() - left)
            following += Run.objects.filter(parent__in=ids).values_list("pk", flat=True)
        level = following
    return found, more


def _light(steps: QuerySet[Step]) -> QuerySet[Step]:
    return steps.only("run_id", "key", "kind", "name", "effect", "status")


def _acts(step: Step) -> bool:
    return step.kind in _ACTING and step.effect != "none"


def _effect(step: Step) -> Effect:
    return Effect(step.run_id, step.key, step.kind, step.name, step.effect, step.status)


def _shown(steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(sorted((s for s in steps if s.kind not in BOOKKEEPING), key=lambda s: (s.started_at, s.pk)))
