"""Handing events to runs that wait for them: many in one transaction, under the locks of the runs.

A run is handed an event once, by the token of the message; the wait goes with it, and the delivery log says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias
from uuid import UUID

import structlog
from django.db import transaction

from agents.engine.canonical import JSON
from agents.engine.happening_records import told_name, told_token
from agents.engine.telling import Telling, lock_to_tell, tell_locked
from agents.matching import matches
from agents.models import ENDED, Event, Inbox, Listener, Match, MatchStatus, Run

AT_ONCE = 200
"""Waits of one transaction: others want to write, too."""
MAX_KEY = 200
"""Characters of a step's key that the delivery log keeps."""

Offer: TypeAlias = tuple[Listener, Sequence[Event]]
"""A wait, and events that fit it in their order: it is handed the first that its run has not got by another wait."""

log = structlog.get_logger(__name__)


def hand_over(offers: Sequence[Offer]) -> set[int]:
    """Hand events to waits; gives those waits that were handed one. What has changed meanwhile is left alone."""
    told: set[int] = set()
    for start in range(0, len(offers), AT_ONCE):
        given, held = _hand_over(offers[start : start + AT_ONCE], wait=False)
        told |= given
        if held:
            told |= _hand_over(held, wait=True)[0]
    return told


def fits_filter(listener: Listener, event: Event) -> bool:
    """Tell whether an event's data are what a wait asks for."""
    try:
        return listener.filter is None or matches(listener.filter, event.data)
    except Exception:
        # No workflow can ask for such a thing; should it stand in the table, the others are told all the same.
        log.exception("listener_failed", run=str(listener.run_id), key=listener.key)
        return False


def unchanged(listeners: Iterable[Listener], *, lock: bool = False) -> set[int]:
    """Give those waits that still ask for the same; `lock` them, but for those that others hold."""
    known = {one.pk: (one.pattern, one.filter) for one in listeners}
    found = Listener.objects.filter(pk__in=known).order_by("pk")
    if lock:
        found = found.select_for_update(skip_locked=True)
    return {pk for pk, *asked in found.values_list("pk", "pattern", "filter") if known[pk] == tuple(asked)}


def _hand_over(offers: Sequence[Offer], *, wait: bool) -> tuple[set[int], list[Offer]]:
    """Hand over in one transaction; gives the waits that were handed something, and offers to runs that others hold."""
    with transaction.atomic():
        runs = lock_to_tell({listener.run_id for listener, _ in offers}, wait=wait)
        # By the run's lock nobody else hands its waits anything, or registers them anew.
        there = unchanged(listener for listener, _ in offers if listener.run_id in runs)
        chosen = _choose([offer for offer in offers if offer[0].pk in there], runs)
        tell_locked(runs, [_telling(listener, event) for listener, event in chosen])
        Match.objects.bulk_create(
            Match(event=event, run_id=listener.run_id, key=listener.key[:MAX_KEY], status=MatchStatus.WOKE)
            for listener, event in chosen
        )
        told = {listener.pk for listener, _ in chosen}
        # A run that has ended waits for nothing any more.
        over = {one.pk for one, _ in offers if one.run_id in runs and runs[one.run_id].status in ENDED}
        if gone := told | over:
            Listener.objects.filter(pk__in=gone).delete()
    return told, [offer for offer in offers if offer[0].run_id not in runs]


def _choose(offers: Sequence[Offer], runs: Mapping[UUID, Run]) -> list[tuple[Listener, Event]]:
    """Choose for each wait of a run that goes on its first event that the run has not got."""
    tokens = {told_token(event.pk) for _, events in offers for event in events}
    got = Inbox.objects.filter(run_id__in={listener.run_id for listener, _ in offers}, token__in=tokens)
    taken = set(got.order_by().values_list("run_id", "token"))
    chosen = []
    for listener, events in sorted(offers, key=lambda offer: offer[0].pk):
        if runs[listener.run_id].status in ENDED:
            continue
        free = (event for event in events if (listener.run_id, told_token(event.pk)) not in taken)
        if (event := next(free, None)) is not None:
            taken.add((listener.run_id, told_token(event.pk)))
            chosen.append((listener, event))
    return chosen


def _telling(listener: Listener, event: Event) -> Telling:
    return Telling(listener.run_id, told_name(listener.key), happening_of(event), told_token(event.pk))


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
