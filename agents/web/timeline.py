"""The timeline of a run: what it did when, as bars on one scale.

Pure functions on rows that were read before. Positions are percentages of the time from the run's creation to now or
to its end; the page's script moves them on while the run goes on, by the same rule.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agents.models import ENDED, Run, RunEvent, Step, StepStatus
from agents.web import wording

MIN_WIDTH = 0.6
"""Per cent: what took no time is still to be seen."""

_PHASES = {
    "run_queued": "queued",
    "run_started": "running",
    "run_waiting": "waiting",
    "run_paused": "paused",
    "run_woken": "queued",
    "run_resumed": "queued",
    "run_retried": "queued",
    "run_succeeded": "",
    "run_failed": "",
    "run_cancelled": "",
}
_ICONS = {
    "call": "branch",
    "each": "branch",
    "spawn": "branch",
    "fork": "branch",
    "tool": "act",
    "artifact": "file",
    "timeout": "waiting",
    "wait_event": "waiting",
    "emit_event": "events",
}
_PATIENT = ("sleep", "call", "each", "spawn", "timeout", "approve", "ask", "wait_event")
_PHASE_WORDS = {"queued": "in the queue", "running": "working", "waiting": "waiting", "paused": "paused"}


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a bar. `end` is None while it grows."""

    tone: str
    start: datetime
    end: datetime | None
    x: str
    width: str
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the timeline: a step."""

    key: str
    icon: str
    label: str
    name: str
    depth: int
    tone: str
    word: str
    segments: tuple[Segment, ...]
    seconds: float | None
    started_at: datetime
    attempt: int
    is_superseded: bool
    origin: str = ""
    """How a fork has come by it: reused, or edited."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A run's bars: the run as a whole first, then its steps in the order in which they started."""

    start: datetime
    end: datetime
    is_open: bool
    phases: tuple[Segment, ...]
    rows: tuple[Row, ...]
    hidden: int
    ticks: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Scale:
    start: datetime
    end: datetime

    def segment(self, tone: str, start: datetime, end: datetime | None, title: str) -> Segment:
        span = max((self.end - self.start).total_seconds(), 0.001)
        left = min(max((start - self.start).total_seconds() / span * 100, 0.0), 100.0 - MIN_WIDTH)
        right = min(((end or self.end) - self.start).total_seconds() / span * 100, 100.0)
        width = max(right - left, MIN_WIDTH)
        seconds = ((end or self.end) - start).total_seconds()
        return Segment(tone, start, end, f"{left:.3f}%", f"{width:.3f}%", f"{title}, {wording.duration(seconds)}")


def make_timeline(
    run: Run,
    steps: Sequence[Step],
    events: Iterable[RunEvent],
    *,
    now: datetime,
    hidden: int = 0,
    apart: Container[str] = (),
    copied_until: datetime | None = None,
) -> Timeline:
    """Lay out a run's steps and phases. `apart` are the keys of steps that a process of their own executes now.

    What ended before `copied_until` a fork has from its origin: it took none of the run's own time.
    """
    is_open = run.status not in ENDED
    end = now if is_open or run.finished_at is None else run.finished_at
    latest = max((step.finished_at or step.started_at for step in steps), default=end)
    scale = _Scale(run.created_at, max(end, latest, run.created_at))
    return Timeline(
        start=scale.start,
        end=scale.end,
        is_open=is_open,
        phases=tuple(_phases(run, events, [s for s in steps if s.started_at >= run.created_at], scale)),
        rows=tuple(
            _row(step, scale, run, is_apart=step.key in apart, is_copied=is_copied(step, copied_until))
            for step in steps
        ),
        hidden=hidden,
        ticks=_ticks(scale),
    )


def _phases(run: Run, events: Iterable[RunEvent], steps: Sequence[Step], scale: _Scale) -> Iterable[Segment]:
    changes = [(event.at, _PHASES[event.kind]) for event in events if event.kind in _PHASES]
    # No event tells when a worker took the run: its first step after the queue does.
    moments = [*([run.started_at] if run.started_at else []), *(step.started_at for step in steps)]
    changes = sorted([*changes, *((moment, "working") for moment in moments)], key=lambda change: change[0])
    phase, since = "queued", run.created_at
    for at, following in changes:
        if following == "working":
            following = "running" if phase == "queued" else phase
        if following == phase:
            continue
        if phase and at > since:
            yield scale.segment(phase, since, at, _PHASE_WORDS[phase])
        phase, since = following, at
    if phase:
        ended = run.finished_at if run.status in ENDED else None
        yield scale.segment(phase, since, ended, _PHASE_WORDS[phase])


def is_copied(step: Step, copied_until: datetime | None) -> bool:
    """Whether a fork has this record from its origin."""
    return copied_until is not None and step.finished_at is not None and step.finished_at <= copied_until


def is_edited(step: Step, run: Run) -> bool:
    """Whether somebody has written what came out of this step of a fork; for a step that is copied."""
    fork = run.fork if isinstance(run.fork, dict) else {}
    return (fork.get("edited"), fork.get("step")) == ("outcome", step.key)


def _origin(step: Step, run: Run) -> str:
    return "" if step.kind == "fork" else "edited" if is_edited(step, run) else "reused"


def _row(step: Step, scale: _Scale, run: Run, *, is_apart: bool, is_copied: bool) -> Row:
    tone, word = step_state(step, run, is_apart=is_apart)
    is_growing = tone in ("running", "retrying", "waiting")
    end = None if is_growing else step.finished_at or run.finished_at or step.started_at
    return Row(
        key=step.key,
        icon=icon_of(step),
        label=wording.KINDS.get(step.label or step.kind, step.kind.capitalize()),
        name=name_of(step),
        depth=min(step.key.count("/") // 2, 4),
        tone=tone,
        word=word,
        segments=() if is_copied else tuple(_segments(step, end, tone, scale)),
        seconds=None if is_growing else 0.0 if step.kind == "fork" else step.seconds,
        started_at=step.started_at,
        attempt=step.attempt,
        is_superseded=step.superseded,
        origin=_origin(step, run) if is_copied else "",
    )


def _segments(step: Step, end: datetime | None, tone: str, scale: _Scale) -> Iterable[Segment]:
    start = step.started_at
    for attempt in step.attempts or ():
        failed, again = _moment(attempt, "at"), _moment(attempt, "retry_at")
        if failed is None or failed < start:
            continue
        yield scale.segment("tried", start, failed, f"attempt {attempt.get('number', '')} failed")
        start = failed
        if again is not None and again > failed and (end is None or again <= end):
            yield scale.segment("pause", failed, again, "pause before the next attempt")
            start = again
    yield scale.segment(tone, start, end, name_of(step))


def _moment(entry: Any, name: str) -> datetime | None:
    value = entry.get(name) if isinstance(entry, dict) else None
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _ticks(scale: _Scale) -> tuple[tuple[str, str], ...]:
    """Give the scale's marks: at most four round spans of time, with their places."""
    span = (scale.end - scale.start).total_seconds()
    steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
    step = next((step for step in steps if span / step <= 3.5), span / 3)
    marks: list[tuple[str, str]] = []
    at = 0.0
    while at <= span * 0.94 and len(marks) < 6:
        marks.append((f"{at / span * 100:.3f}%" if span else "0%", _tick(at)))
        at += step
    return tuple(marks)


def _tick(seconds: float) -> str:
    if seconds == 0:
        return "0"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 7200 else f"{seconds / 3600:g} h"


def step_state(step: Step, run: Run, *, is_apart: bool = False) -> tuple[str, str]:
    """Give tone and word of a step's state. A step of a run that holds no worker is not running.

    Unless it `is_apart`: then a process of its own executes it meanwhile.
    """
    status = str(step.status)
    if is_apart and status == StepStatus.RUNNING and not step.superseded:
        return "running", "Running in a process"
    if status == StepStatus.RUNNING and run.status not in ("running",):
        if run.status in ENDED:
            return "interrupted", "Interrupted"
        return ("waiting", "Waiting") if step.kind in _PATIENT else ("waiting", "Parked")
    if step.kind in ("approve", "ask") and status == StepStatus.RUNNING:
        return "waiting", "Waiting"
    words = {"succeeded": "Done", "unknown": "Outcome unknown", "retrying": "Trying again"}
    return status, words.get(status, status.capitalize())


def icon_of(step: Step) -> str:
    """Name the icon of what a step does."""
    name = step.label or step.kind
    return _ICONS.get(name, name)


def short_key(key: str) -> str:
    """Name a step by its key in few words: `gather#0/1/tool:search#0` is search, the third think is think 3."""
    name, _, number = key.rsplit("/", 1)[-1].rpartition("#")
    name = name.partition(":")[2] or name or key
    return f"{name} {int(number) + 1}" if number.isdecimal() and int(number) else name


def name_of(step: Step) -> str:
    """Name a step as people know it: a think step by its model, others by what they do."""
    return step.name if step.name != step.kind else ""
