"""Runs that wait for events: registered, handed the first one that fits, each event once to a run.

A wait is registered in one transaction and looks back in the next: an event that commits in between is found by the
look, one that commits later is dispatched when the registration can be seen. Handing over locks the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from agents.engine import control
from agents.engine.canonical import JSON
from agents.engine.happening_records import Listening, told_name, told_token
from agents.engine.interest import let_take_effect
from agents.matching import matches
from agents.models import ACTIVE, Event, Inbox, Listener, Match, MatchStatus, Run
from agents.triggers.patterns import ANY, fits, patterns_of

CHUNK = 200
MAX_KEY = 200
"""Characters of a step's key that the delivery log keeps."""

log = structlog.get_logger(__name__)


class Listeners:
    """The engine's port to events (EventPort)."""

    def listen(self, wanted: Listening) -> bool:
        """Register a wait; hand over the first event that came before and fits. True if there was one."""
        if not _register(wanted):
            return False
        with transaction.atomic():
            found = _lock(wanted.run_id, wanted.key)
            return found is not None and not found.has_looked_back and _look_back(found)

    def unlisten(self, wanted: Listening) -> None:
        """Forget a wait; whoever is just handing it an event comes first."""
        with transaction.atomic():
            if (found := _lock(wanted.run_id, wanted.key)) is not None:
                found.delete()


def tell_listeners(workspace_id: int, events: Sequence[Event]) -> int:
    """Hand events to the runs that wait for them; gives how many were told. Done again, it tells nobody twice."""
    if not events:
        return 0
    patterns = {pattern for event in events for pattern in patterns_of(event.name)}
    waiting = list(Listener.objects.filter(workspace=workspace_id, pattern__in=patterns).order_by("id"))
    count = 0
    for event in events:
        for listener in waiting:
            if event.to_run_id in (None, listener.run_id) and fits(event.name, listener.pattern):
                count += _fits(listener, event) and _offer(listener, event)
    return count


def forget_ended() -> int:
    """Remove the waits of runs that have ended; gives how many."""
    goes_on = Exists(Run.objects.filter(pk=OuterRef("run_id"), status__in=ACTIVE))
    left = list(Listener.objects.filter(~goes_on).values_list("pk", flat=True)[:1_000])
    Listener.objects.filter(pk__in=left).delete()
    return len(left)


def happening_of(event: Event) -> dict[str, JSON]:
    """Give an event as a run is told of it."""
    return {
        "id": event.pk,
        "name": event.name,
        "data": event.data,
        "source": event.source,
        "occurred_at": event.occurred_at.isoformat(),
        "tainted": event.tainted,
    }


def _register(wanted: Listening) -> bool:
    """Register a wait, unless the run was told already; False if it was."""
    asked = {"workspace_id": wanted.workspace_id, "pattern": wanted.pattern, "filter": wanted.match}
    with transaction.atomic():
        listener, is_new = Listener.objects.get_or_create(run_id=wanted.run_id, key=wanted.key, defaults=asked)
        if (
            is_new
            and Inbox.objects.filter(
                run_id=wanted.run_id, name=told_name(wanted.key), consumed_at__isnull=True
            ).exists()
        ):
            # It was told, and its wait was gone by that: the message lies in the inbox.
            listener.delete()
            return False
        if not is_new and (listener.pattern, listener.filter) != (wanted.pattern, wanted.match):
            # The code that asks has changed.
            Listener.objects.filter(pk=listener.pk).update(**asked, has_looked_back=False)
        let_take_effect([wanted.pattern])
    return True


def _offer(listener: Listener, event: Event) -> bool:
    """Hand a wait an event that fits, or an earlier one that it has not looked back to; tells whether it did."""
    with transaction.atomic():
        found = _lock(listener.run_id, listener.key)
        if found is None or found.pk != listener.pk:
            return False
        return _hand_over(found, event) if found.has_looked_back else _look_back(found)


def _lock(run_id: UUID, key: str) -> Listener | None:
    """Lock a run, and with it all its waits; gives the one of this key."""
    if connection.vendor == "postgresql":
        list(Run.objects.select_for_update(no_key=True).filter(pk=run_id).values_list("pk"))
    return Listener.objects.filter(run_id=run_id, key=key).first()


def _look_back(listener: Listener) -> bool:
    """Hand a wait the first event that came since its run was created; tells whether there was one."""
    run = Run.objects.only("id", "created_at", "root_id").get(pk=listener.run_id)
    for event in _since(listener, run):
        if _fits(listener, event) and _hand_over(listener, event):
            return True
    listener.has_looked_back = True
    listener.save(update_fields=("has_looked_back",))
    return False


def _since(listener: Listener, run: Run) -> Iterator[Event]:
    """Give the events that a run may be handed, in their order: dispatched after it was created, or not yet."""
    came = Event.objects.filter(workspace=listener.workspace_id)
    if connection.vendor == "postgresql":
        came = _of_names(came, listener.pattern)
    # Without the name SQLite goes by the time; with it, through all that ever came of that name. What is dispatched
    # between the two questions is found by both.
    waiting, dispatched = came.filter(dispatched_at__isnull=True), came.filter(dispatched_at__gt=run.created_at)
    named = {pk for found in (waiting, dispatched) for pk, name in _names(found) if fits(name, listener.pattern)}
    runs = [pk for pk in (run.pk, run.root_id) if pk]
    started_it = Match.objects.filter(event=OuterRef("pk"), run__in=runs, status=MatchStatus.STARTED)
    pks = sorted(named)
    for at in range(0, len(pks), CHUNK):
        found = Event.objects.filter(
            ~Exists(started_it), Q(to_run__isnull=True) | Q(to_run=run.pk), pk__in=pks[at : at + CHUNK]
        )
        yield from found.order_by("id")


def _names(events: QuerySet[Event]) -> Iterator[tuple[int, str]]:
    return events.order_by().values_list("pk", "name").iterator()


def _of_names(events: QuerySet[Event], pattern: str) -> QuerySet[Event]:
    if pattern == ANY:
        return events
    return events.filter(name__startswith=pattern[:-1]) if pattern.endswith(".*") else events.filter(name=pattern)


def _hand_over(listener: Listener, event: Event) -> bool:
    """Tell the run of an event, unless another of its waits was handed it; the run is locked."""
    token = told_token(event.pk)
    if Inbox.objects.filter(run_id=listener.run_id, token=token).exists():
        return False
    is_told = control.tell(listener.run_id, told_name(listener.key), happening_of(event), token=token)
    if is_told:
        Match.objects.create(event=event, run_id=listener.run_id, key=listener.key[:MAX_KEY], status=MatchStatus.WOKE)
    # Of a run that has ended too: it waits for nothing any more.
    listener.delete()
    return is_told


def _fits(listener: Listener, event: Event) -> bool:
    try:
        return listener.filter is None or matches(listener.filter, event.data)
    except Exception:
        # No workflow can ask for such a thing; should it stand in the table, the others are told all the same.
        log.exception("listener_failed", run=str(listener.run_id), key=listener.key)
        return False
