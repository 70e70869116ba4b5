"""Telling the product that something happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db.models import Q

from agents.engine import life
from agents.engine.canonical import JSON, clean_text, decode, encode
from agents.engine.errors import NotEncodable
from agents.models import Event, Run, Workspace
from agents.services.errors import Conflict, InvalidInput
from agents.services.event_rows import EventRow, insert_new
from agents.services.event_waits import misfit_of
from agents.triggers.patterns import fault_of_foreign_name, fault_of_name

MAX_DATA = 500_000
MAX_SOURCE = 200
MAX_ID = 200
MAX_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to be told of.

    `event_id` is the source's own name for it, by which a second one is known; `tainted` says that strangers may have
    written what it says. `to_run` makes it a signal to one run, `cause` is the run it comes from; `attributes` are what
    the source says besides the data.
    """

    name: str
    data: JSON = None
    source: str = ""
    event_id: str = ""
    occurred_at: datetime | None = None
    tainted: bool = False
    to_run: UUID | None = None
    cause: UUID | None = None
    attributes: Mapping[str, JSON] | None = None
    replay_of: int | None = None


def emit_event(
    workspace: Workspace,
    name: str,
    data: JSON = None,
    *,
    source: str = "",
    event_id: str = "",
    occurred_at: datetime | None = None,
    tainted: bool = False,
    to_run: Run | UUID | None = None,
    cause: Run | UUID | None = None,
    attributes: Mapping[str, JSON] | None = None,
) -> Event:
    """Tell of an event in the caller's transaction: it starts and wakes runs if, and as soon as, that commits.

    With an `event_id` that its source told of before, the earlier event is given back, its `is_new` False. Raises
    InvalidInput, whose `field` is the argument's name.
    """
    told = NewEvent(
        name=name,
        data=data,
        source=source,
        event_id=event_id,
        occurred_at=occurred_at,
        tainted=tainted,
        to_run=_id(to_run),
        cause=_id(cause),
        attributes=attributes,
    )
    return emit_events(workspace, [told])[0]


def emit_events(workspace: Workspace, told: Sequence[NewEvent]) -> list[Event]:
    """Tell of many events in the caller's transaction, all or none; gives them in their order.

    Events that were told of before are given back as they are, their `is_new` False. Raises InvalidInput, whose
    `field` begins with the number of the event if there are several.
    """
    if len(told) > MAX_AT_ONCE:
        raise InvalidInput(f"At most {MAX_AT_ONCE:,} events are taken at once.", "events")
    prefix = "{}." if len(told) > 1 else ""
    rows = [_row(workspace, one, prefix.format(number)) for number, one in enumerate(told)]
    named: dict[tuple[str, str], Event] = {}
    left = rows
    while left:
        named |= {(event.source, event.event_id): event for event in insert_new(workspace.pk, left)}
        left = [row for row in left if row.key is not None and row.key not in named]
        # They were told of before. Should one be forgotten at this moment, it is told of anew.
        named |= _known(workspace, [row.key for row in left if row.key is not None])
        left = [row for row in left if row.key not in named]
    return [row.event if row.key is None else named[row.key] for row in rows]


def take_events(workspace: Workspace, told: Sequence[NewEvent]) -> list[Event]:
    """Take events that programs and people tell of: as `emit_events`, but none that passes for agentsite's own."""
    for number, one in enumerate(told):
        prefix = f"{number}." if len(told) > 1 else ""
        if fault := fault_of_foreign_name(one.name):
            raise InvalidInput(fault, f"{prefix}name")
        if one.source == life.SOURCE:
            said = f"The source {life.SOURCE!r} is agentsite itself; choose another one."
            raise InvalidInput(said, f"{prefix}source")
    return emit_events(workspace, told)


def send_signal(run: Run, name: str, data: JSON = None, *, signal_id: str = "") -> Event:
    """Tell one run of an event, in the caller's transaction; it is there when the run comes to wait for it.

    With an id that this run was told before, the earlier signal is given back. Raises Conflict for a run that has
    ended, InvalidInput for what is no event, and for data that does not fit the form that the run waits with.
    """
    if run.has_ended:
        raise Conflict(f"The run has {run.status}: nothing reaches it any more.")
    if misfit := misfit_of(run, name, data):
        raise InvalidInput(misfit, "data")
    return emit_event(run.workspace, name, data, source=f"run:{run.pk}", event_id=signal_id, to_run=run)


def _known(workspace: Workspace, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Event]:
    """Give the events that were told of before under these names, by source and id."""
    by_source: dict[str, list[str]] = {}
    for source, id in keys:
        by_source.setdefault(source, []).append(id)
    if not by_source:
        return {}
    asked = Q()
    for source, ids in by_source.items():
        asked |= Q(source=source, event_id__in=ids)
    known = {(event.source, event.event_id): event for event in Event.objects.filter(asked, workspace=workspace)}
    for event in known.values():
        event.is_new = False
    return known


def _row(workspace: Workspace, told: NewEvent, prefix: str) -> EventRow:
    """Make the row of an event; raises InvalidInput for what is none."""
    if fault := fault_of_name(told.name) or _unprintable(told.name):
        raise InvalidInput(fault, f"{prefix}name")
    if len(told.source) > MAX_SOURCE or _unprintable(told.source):
        raise InvalidInput(f"A source has at most {MAX_SOURCE} printable characters.", f"{prefix}source")
    if len(told.event_id) > MAX_ID or _unprintable(told.event_id):
        raise InvalidInput(f"An event's id has at most {MAX_ID} printable characters.", f"{prefix}id")
    data = _checked(told.data, f"{prefix}data")
    attributes = _checked(dict(told.attributes) if told.attributes else None, f"{prefix}attributes")
    event = Event(
        workspace=workspace,
        name=told.name,
        data=decode(data),
        source=told.source,
        event_id=told.event_id,
        tainted=told.tainted,
        to_run_id=told.to_run,
        cause_id=told.cause,
        attributes=decode(attributes),
        replay_of_id=told.replay_of,
    )
    occurred = None if told.occurred_at is None else _in_utc(told.occurred_at, f"{prefix}occurred_at")
    return EventRow(event, data, attributes, occurred)


def _checked(data: JSON, field: str) -> str | None:
    """Give the data as they are kept; raises InvalidInput for what can't be."""
    if data is None:
        return None
    try:
        text = encode(data)
    except NotEncodable as error:
        raise InvalidInput(str(error), field) from error
    if len(text) > MAX_DATA:
        raise InvalidInput(f"The data has {len(text):,} characters; at most {MAX_DATA:,} are taken.", field)
    return text


def _in_utc(moment: datetime, field: str) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInput("This time is out of range.", field) from error


def _unprintable(text: str) -> str:
    return "" if text.isprintable() and clean_text(text) == text else "Only printable characters are taken here."


def _id(run: Run | UUID | None) -> UUID | None:
    return run.pk if isinstance(run, Run) else run
