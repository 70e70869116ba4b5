"""The events that a run waits for at present, and what a signal to it is to be like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agents.engine.canonical import JSON
from agents.engine.schemas import mismatch_of
from agents.matching import matches
from agents.models import Event, Listener, Run, Step
from agents.triggers.patterns import ANY, fits

SHOWN = 20


@dataclass(frozen=True, slots=True)
class EventWait:
    """A wait for an event by its name or a pattern, of a step.

    `filter` is what its data must be like, `form` the JSON schema of what a signal is to say, where the workflow gives
    one; `until` is when the run goes on without it.
    """

    id: int
    key: str
    pattern: str
    filter: Mapping[str, Any] | None
    form: Mapping[str, Any] | None
    until: datetime | None

    @property
    def name(self) -> str:
        """The name of the event, if it is exactly one that is waited for."""
        return "" if self.pattern == ANY or self.pattern.endswith(".*") else self.pattern

    def takes(self, event: Event) -> bool:
        """Tell whether an event ends the wait."""
        return fits(event.name, self.pattern) and (self.filter is None or matches(self.filter, event.data))


def event_waits(run: Run) -> list[EventWait]:
    """Give what events a run waits for, in the order in which it began to; none once it has ended."""
    if run.has_ended:
        return []
    listeners = list(Listener.objects.filter(run=run).order_by("id")[:SHOWN])
    if not listeners:
        return []
    keys = [listener.key for listener in listeners]
    steps = Step.objects.filter(run=run, key__in=keys, superseded=False).values_list("key", "input")
    asked = {key: given for key, given in steps if isinstance(given, dict)}
    return [_wait(listener, asked.get(listener.key, {})) for listener in listeners]


def misfit_of(run: Run, name: str, data: JSON) -> str:
    """Say why a signal is not what the run has asked for at present; empty if it is, or if it has not said.

    Of several waits that fit the name it is enough to be right for one.
    """
    said = ""
    for wait in event_waits(run):
        if not fits(name, wait.pattern):
            continue
        mismatch = None if wait.form is None else mismatch_of(wait.form, data)
        if mismatch is None:
            return ""
        said = said or (f"{mismatch.path}: {mismatch.message}" if mismatch.path else mismatch.message)
    return said


def _wait(listener: Listener, asked: Mapping[str, Any]) -> EventWait:
    until, form = asked.get("until"), asked.get("form")
    return EventWait(
        id=listener.pk,
        key=listener.key,
        pattern=listener.pattern,
        filter=listener.filter,
        form=form if isinstance(form, dict) else None,
        until=datetime.fromisoformat(until) if until else None,
    )
