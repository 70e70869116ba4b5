"""The hub's questions to the database. Synchronous; `Reader` runs them on threads of their own."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from django.db.models import Q

from agents.live.messages import LiveEvent, LivePartial, RunLine, RunState
from agents.models import Approval, Partial, Run, RunEvent

V = TypeVar("V")

PAGE = 200
"""Events read at once, for one client or one run."""

LISTED = 200
"""How many of a workspace's newest runs a list follows; it also keeps those it saw active."""

COUNTED = 100
"""How many questions that wait are counted; more are as good as so many."""

_CHUNK = 100
_STATE = (
    "id",
    "last_event",
    "status",
    "reason",
    "wanted",
    "steps_done",
    "input_tokens",
    "output_tokens",
    "cost_microusd",
    "started_at",
    "finished_at",
)
_LINE = (
    "id",
    "workflow",
    "agent_version__agent__name",
    "status",
    "reason",
    "wanted",
    "priority",
    "steps_done",
    "input_tokens",
    "output_tokens",
    "cost_microusd",
    "created_at",
    "started_at",
    "finished_at",
)


@dataclass(frozen=True, slots=True)
class Want:
    """What the hub knows of a run: the events after `number` and the partial rows after `partial` are news."""

    number: int | None
    partial: int | None
    state: RunState | None


@dataclass(frozen=True, slots=True)
class News:
    """What is new of a run. `state` is None when the run is gone; `partial` is the last row that was read."""

    state: RunState | None
    events: tuple[LiveEvent, ...] = ()
    partials: tuple[LivePartial, ...] = ()
    partial: int = 0


def read_news(wants: Mapping[UUID, Want]) -> dict[UUID, News]:
    """Read what is new of all watched runs: three queries, however many runs there are.

    The order matters. Events are read only up to the number that the states named before the partial texts were
    read, so that no text of a step arrives after the event that ends it.
    """
    states = _read_states(wants)
    partials = _read_partials(
        {run: want.partial for run, want in wants.items() if run in states and want.partial is not None}
    )
    ranges: dict[UUID, tuple[int, int]] = {}
    for run, want in wants.items():
        state = states.get(run)
        if state is not None and want.number is not None and state.last_event > want.number:
            ranges[run] = (want.number, min(state.last_event, want.number + PAGE))
    events = _read_events(ranges)
    news = {}
    for run, want in wants.items():
        state = states.get(run)
        if state is not None and state.has_ended:
            state = _with_result(state, known=want.state)
        last, texts = partials.get(run, (want.partial or 0, []))
        news[run] = News(state, tuple(events.get(run, ())), tuple(texts), last)
    return news


def read_page(run: UUID, after: int) -> News:
    """Read what one client missed: the first events after a number and, with the last of them, all partial texts."""
    return read_news({run: Want(number=after, partial=0, state=None)})[run]


def read_log(run: UUID, after: int, limit: int) -> list[LiveEvent]:
    """Read events of a run after a number, in order."""
    rows = RunEvent.objects.filter(run_id=run, number__gt=after).order_by("number")
    return [LiveEvent(*row) for row in rows.values_list("number", "kind", "at", "data")[:limit]]


def read_lines(workspace: int, also: Iterable[UUID]) -> dict[UUID, RunLine]:
    """Read the newest runs of a workspace and those named, as a list shows them."""
    of_workspace = Run.objects.filter(workspace_id=workspace)
    rows = list(of_workspace.order_by("-id").values_list(*_LINE)[:LISTED])
    missing = set(also) - {row[0] for row in rows}
    if missing:
        rows += of_workspace.filter(id__in=missing).values_list(*_LINE)
    return {row[0]: RunLine(row[0], row[1], row[2] or "", *row[3:]) for row in rows}


def read_waiting(workspace: int) -> tuple[UUID, ...]:
    """Read which questions of a workspace wait for a person, the newest first, up to so many as a page shows."""
    waiting = Approval.objects.filter(workspace_id=workspace).waiting().order_by("-id")
    return tuple(waiting.values_list("id", flat=True)[:COUNTED])


def _read_states(runs: Iterable[UUID]) -> dict[UUID, RunState]:
    return {row[0]: RunState(*row) for row in Run.objects.filter(id__in=list(runs)).values_list(*_STATE)}


def _with_result(state: RunState, known: RunState | None) -> RunState:
    """Add output and error, which may be large, once: a state that did not change keeps those it had."""
    if known == state and known is not None:
        return replace(state, output=known.output, error=known.error)
    row = Run.objects.filter(id=state.id).values_list("output", "error").first()
    return state if row is None else replace(state, output=row[0], error=row[1])


def _read_events(ranges: Mapping[UUID, tuple[int, int]]) -> dict[UUID, list[LiveEvent]]:
    events: dict[UUID, list[LiveEvent]] = {}
    for chunk in _chunks(ranges):
        wanted = _any_of(Q(run_id=run, number__gt=low, number__lte=high) for run, (low, high) in chunk)
        rows = RunEvent.objects.filter(wanted).order_by("run_id", "number")
        for run, number, kind, at, data in rows.values_list("run_id", "number", "kind", "at", "data"):
            events.setdefault(run, []).append(LiveEvent(number, kind, at, data))
    return events


def _read_partials(after: Mapping[UUID, int]) -> dict[UUID, tuple[int, list[LivePartial]]]:
    """Read the rows streamed since, each run's with the last row's id.

    A row's id is compared within its run only: there a single process writes, on one connection, in order.
    """
    found: dict[UUID, tuple[int, list[LivePartial]]] = {}
    for chunk in _chunks(after):
        wanted = _any_of(Q(run_id=run, id__gt=row) for run, row in chunk)
        rows = Partial.objects.filter(wanted).order_by("id")
        columns = rows.values_list("id", "run_id", "key", "attempt", "number", "text")
        for row, run, key, attempt, number, text in columns:
            _, partials = found.get(run, (0, []))
            partials.append(LivePartial(key, attempt, number, text))
            found[run] = (row, partials)
    return found


def _any_of(conditions: Iterable[Q]) -> Q:
    return functools.reduce(operator.or_, conditions)


def _chunks(items: Mapping[UUID, V]) -> Iterable[list[tuple[UUID, V]]]:
    pairs = list(items.items())
    return (pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK))
