"""Runs that wait for events: told of what came before, and of what is dispatched.

A wait is registered by the journal of its run's worker, and looks back when that is committed: an event that commits in
between is found by the look, one that commits later is dispatched when the registration can be seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from django.db.models import Exists, OuterRef

from agents.engine.happening_records import Listening
from agents.engine.interest import let_take_effect
from agents.models import ACTIVE, Event, Listener, Run
from agents.services.handing_over import fits_filter, hand_over
from agents.services.looking_back import look_back
from agents.triggers.patterns import patterns_of


class Listeners:
    """The engine's port to events (EventPort)."""

    def look_back(self, wanted: Sequence[Listening]) -> list[bool]:
        """Hand each wait the first event that came before and fits; tell where one did."""
        # The waits are committed: of these events none is left out any more, and those before are found.
        let_take_effect({one.pattern for one in wanted})
        keys = {(one.run_id, one.key) for one in wanted}
        found = Listener.objects.filter(run_id__in={one.run_id for one in wanted}, has_looked_back=False)
        waiting = [one for one in found.order_by("id") if (one.run_id, one.key) in keys]
        given = look_back(waiting)
        told = {(one.run_id, one.key) for one in waiting if one.pk in given}
        return [(one.run_id, one.key) in told for one in wanted]


def tell_listeners(workspace_id: int, events: Sequence[Event]) -> int:
    """Hand events to the runs that wait for them; gives how many were told. Done again, it tells nobody twice."""
    waiting = _waiting_for(workspace_id, events)
    # What came before comes first: these find what they get, of these events too, by looking.
    told = look_back([one for one in waiting if not one.has_looked_back])
    by_pattern: dict[str, list[Listener]] = defaultdict(list)
    for one in waiting:
        if one.has_looked_back:
            by_pattern[one.pattern].append(one)
    offers: dict[int, tuple[Listener, list[Event]]] = {}
    for event in events:
        for one in (one for pattern in patterns_of(event.name) for one in by_pattern.get(pattern, ())):
            if event.to_run_id in (None, one.run_id) and fits_filter(one, event):
                offers.setdefault(one.pk, (one, []))[1].append(event)
    return len(told) + len(hand_over(list(offers.values())))


def forget_ended() -> int:
    """Remove the waits of runs that have ended; gives how many."""
    goes_on = Exists(Run.objects.filter(pk=OuterRef("run_id"), status__in=ACTIVE))
    left = list(Listener.objects.filter(~goes_on).values_list("pk", flat=True)[:1_000])
    Listener.objects.filter(pk__in=left).delete()
    return len(left)


def _waiting_for(workspace_id: int, events: Sequence[Event]) -> list[Listener]:
    """Give the waits for events of these names; for a signal, those of its run alone."""
    patterns = {pattern for event in events if event.to_run_id is None for pattern in patterns_of(event.name)}
    signalled = {event.to_run_id for event in events if event.to_run_id is not None}
    waiting = Listener.objects.filter(workspace=workspace_id)
    found: dict[int, Listener] = {}
    if patterns:
        found |= {one.pk: one for one in waiting.filter(pattern__in=patterns)}
    if signalled:
        found |= {one.pk: one for one in waiting.filter(run_id__in=signalled)}
    return [found[pk] for pk in sorted(found)]
