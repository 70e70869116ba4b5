"""Events that have come, found by what they led to, and told of once more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from agents.engine.canonical import digest
from agents.models import Event, Flow, Match, MatchStatus, User, Workspace
from agents.services.errors import InvalidInput, NotFound
from agents.services.events import NewEvent, emit_events
from agents.triggers.flow import MAX_SECONDS
from agents.triggers.patterns import ANY, fault_of_pattern

MAX_REPLAYED = 1_000
FORGOTTEN_AT_ONCE = 5_000

log = structlog.get_logger(__name__)


class EventState(models.TextChoices):
    """What has become of an event; of one that met several subscriptions, several may hold."""

    WAITING = "waiting", "not dispatched yet"
    STARTED = "started", "started a run"
    WOKE = "woke", "woke a run"
    HELD = "held", "held back"
    SKIPPED = "skipped", "skipped"
    FAILED = "failed", "could not start a run"
    UNMATCHED = "unmatched", "met nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are asked for; what is empty does not count. `pattern` is of names.

    `id` is the event's number, or its source's own name for it; `state` one of EventState.
    """

    pattern: str = ""
    source: str = ""
    id: str = ""
    state: str = ""
    after: datetime | None = None
    before: datetime | None = None
    signals_too: bool = True


@dataclass(frozen=True, slots=True)
class ReplayPreview:
    """How many events a replay would tell of once more, and of which names, the most frequent first."""

    count: int
    names: list[tuple[str, int]]


def find_events(workspace: Workspace, wanted: EventFilter) -> QuerySet[Event]:
    """Find events of the workspace, newest first; raises InvalidInput for what is no pattern."""
    events = Event.objects.filter(workspace=workspace)
    if wanted.pattern and wanted.pattern != ANY:
        if fault := fault_of_pattern(wanted.pattern):
            raise InvalidInput(fault, "name")
        is_beginning = wanted.pattern.endswith(".*")
        events = (
            events.filter(name__startswith=wanted.pattern[:-1]) if is_beginning else events.filter(name=wanted.pattern)
        )
    if wanted.source:
        events = events.filter(source=wanted.source)
    if wanted.id:
        events = events.filter(_by_id(wanted.id))
    if wanted.state:
        events = _in_state(events, wanted.state)
    if wanted.after:
        events = events.filter(received_at__gte=wanted.after)
    if wanted.before:
        events = events.filter(received_at__lt=wanted.before)
    if not wanted.signals_too:
        events = events.filter(to_run__isnull=True)
    return events.order_by("-id")


def get_event(workspace: Workspace, event_id: int) -> Event:
    """Give an event of the workspace; raises NotFound, also for another's."""
    event = Event.objects.filter(workspace=workspace, pk=event_id).first() if event_id < 2**63 else None
    if event is None:
        raise NotFound("There is no such event in this workspace.")
    return event


def _by_id(text: str) -> Q:
    """Find an event by its number, or by its source's name for it."""
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    return Q(event_id=text) | Q(pk=int(text)) if is_number else Q(event_id=text)


def _in_state(events: QuerySet[Event], state: str) -> QuerySet[Event]:
    matches = Match.objects.filter(event=OuterRef("pk"))
    if state == EventState.WAITING:
        return events.filter(dispatched_at__isnull=True)
    if state == EventState.UNMATCHED:
        return events.filter(~Exists(matches), dispatched_at__isnull=False)
    if state not in EventState.values:
        raise InvalidInput(f"Choose one of: {', '.join(EventState.values)}.", "state")
    return events.filter(Exists(matches.filter(status=state)))


@transaction.atomic
def replay_event(event: Event, *, by: User | None, key: str = "") -> Event:
    """Dispatch an event once more, as a new one that says of which it is the replay. Subscriptions of today count.

    With the `key` of an earlier call, its replay is given back.
    """
    (again,) = emit_events(event.workspace, [_again(event, key)])
    log.info("event_replayed", number=event.pk, again=again.pk, by=by.get_username() if by else "operator")
    return again


def preview_replay(workspace: Workspace, wanted: EventFilter) -> ReplayPreview:
    """Say what a replay of a range would dispatch once more; raises InvalidInput as that does."""
    names = list(_replayed(workspace, wanted).values_list("name", flat=True)[: MAX_REPLAYED + 1])
    _check_count(len(names))
    return ReplayPreview(len(names), Counter(names).most_common())


@transaction.atomic
def replay_events(workspace: Workspace, wanted: EventFilter, *, by: User | None, key: str = "") -> list[Event]:
    """Dispatch all events of a range once more, in their order; raises InvalidInput if they are too many.

    Replays are left out: each event is replayed, not what was replayed before. So are signals. With the `key` of an
    earlier call, its replays are given back.
    """
    events = list(_replayed(workspace, wanted)[: MAX_REPLAYED + 1])
    _check_count(len(events))
    again = emit_events(workspace, [_again(event, key) for event in reversed(events)])
    log.info("events_replayed", count=len(again), by=by.get_username() if by else "operator")
    return again


def forget_events(before: datetime) -> int:
    """Remove events that came before a time, with their delivery log, some at a time; gives how many.

    Those that are not dispatched yet, or held back by flow control, stay.
    """
    is_held = Exists(Match.objects.filter(event=OuterRef("pk"), status=MatchStatus.HELD))
    old = Event.objects.filter(~is_held, received_at__lt=before, dispatched_at__isnull=False)
    found = list(old.order_by("received_at").values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    if found:
        with transaction.atomic():
            Event.objects.filter(replay_of__in=found).update(replay_of=None)
            Match.objects.filter(event__in=found).delete()
            Event.objects.filter(pk__in=found).delete()
    # What flow control remembers of a key is of no use after the longest time that it may count.
    gone = before - timedelta(seconds=MAX_SECONDS)
    Flow.objects.filter(touched_at__lt=gone, due_at__isnull=True, waits_for__isnull=True).delete()
    return len(found)


def _replayed(workspace: Workspace, wanted: EventFilter) -> QuerySet[Event]:
    return find_events(workspace, wanted).filter(replay_of__isnull=True, to_run__isnull=True)


def _check_count(count: int) -> None:
    if count > MAX_REPLAYED:
        raise InvalidInput(f"These are more than {MAX_REPLAYED:,} events; choose a narrower range.", "after")


def _again(event: Event, key: str) -> NewEvent:
    return NewEvent(
        name=event.name,
        data=event.data,
        source=event.source,
        event_id=f"replay:{event.pk}:{digest([key])}" if key else "",
        occurred_at=event.occurred_at,
        tainted=event.tainted,
        to_run=event.to_run_id,
        attributes=event.attributes,
        replay_of=event.pk,
    )
