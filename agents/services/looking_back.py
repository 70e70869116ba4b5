"""What came before a run began to wait: the first event that fits, for many waits in one look."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from agents.engine.happening_records import told_token
from agents.models import Event, Inbox, Listener, Match, MatchStatus, Run
from agents.services.handing_over import fits_filter, hand_over, unchanged
from agents.triggers.patterns import ANY, patterns_of

CHUNK = 200
"""Events that are read at once."""
MAX_BEGINNINGS = 20
"""More patterns with a `*` than this, and it is cheaper to compare the names here."""


class _Came(NamedTuple):
    """An event that a wait may be for. It is not dispatched yet without a time."""

    pk: int
    name: str
    to_run: UUID | None
    dispatched_at: datetime | None


def look_back(waiting: Sequence[Listener]) -> set[int]:
    """Hand each of these waits the first event that came since its run was created; gives those where there was one.

    All of them have looked back then.
    """
    told: set[int] = set()
    while waiting:
        by_workspace: dict[int, list[Listener]] = defaultdict(list)
        for listener in waiting:
            by_workspace[listener.workspace_id].append(listener)
        found: dict[int, Event] = {}
        for workspace_id, listeners in by_workspace.items():
            found |= _Look(workspace_id, listeners).first_events()
        _note([listener for listener in waiting if listener.pk not in found])
        offers = [(listener, [found[listener.pk]]) for listener in waiting if listener.pk in found]
        given = hand_over(offers)
        told |= given
        # Another wait of the run was faster with that event: there may be a next one.
        left = [listener.pk for listener, _ in offers if listener.pk not in given]
        waiting = list(Listener.objects.filter(pk__in=left, has_looked_back=False).order_by("id")) if left else []
    return told


def _note(listeners: Sequence[Listener]) -> None:
    """Note that waits have looked back. One that is held is left: whoever finds it without the note looks once more."""
    if not listeners:
        return
    with transaction.atomic():
        Listener.objects.filter(pk__in=unchanged(listeners, lock=True)).update(has_looked_back=True)


class _Look:
    """One look of waits of one workspace at what came."""

    def __init__(self, workspace_id: int, listeners: Sequence[Listener]) -> None:
        self._workspace_id = workspace_id
        found = Run.objects.filter(pk__in={one.run_id for one in listeners}).only("id", "created_at", "root_id")
        self._runs: Mapping[UUID, Run] = {run.pk: run for run in found}
        self._waiting = {one.pk: one for one in listeners if one.run_id in self._runs}
        self._by_pattern: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
        for one in self._waiting.values():
            self._by_pattern[one.pattern].append((self._runs[one.run_id].created_at, one.pk))
        for those in self._by_pattern.values():
            those.sort()

    def first_events(self) -> dict[int, Event]:
        """Give the first event of each wait for which there is one."""
        found: dict[int, Event] = {}
        if not self._waiting:
            return found
        came = sorted(self._came().values())
        for start in range(0, len(came), CHUNK):
            candidates = {one.pk: waits for one in came[start : start + CHUNK] if (waits := self._may_take(one))}
            found |= self._choose(candidates)
            if not self._waiting:
                break
        return found

    def _came(self) -> dict[int, _Came]:
        """Give what came since the first of the runs was created: dispatched after that, or not yet."""
        since = min(run.created_at for run in self._runs.values())
        events = Event.objects.filter(workspace=self._workspace_id)
        if connection.vendor == "postgresql":
            events = _named(events, self._by_pattern)
        # Without the name SQLite goes by the time; with it, through all that ever came of that name. What is dispatched
        # between the two questions is found by both.
        asked = (events.filter(dispatched_at__isnull=True), events.filter(dispatched_at__gt=since))
        return {one.pk: one for each in asked for one in _rows(each) if self._concerns(one)}

    def _concerns(self, one: _Came) -> bool:
        is_for_them = one.to_run is None or one.to_run in self._runs
        return is_for_them and any(pattern in self._by_pattern for pattern in patterns_of(one.name))

    def _may_take(self, one: _Came) -> list[Listener]:
        """Give the waits that still look, in their order, which an event may be for by its name and time."""
        pks: list[int] = []
        for pattern in patterns_of(one.name):
            those = self._by_pattern.get(pattern, ())
            older = len(those) if one.dispatched_at is None else bisect_left(those, (one.dispatched_at, 0))
            pks += [pk for _, pk in those[:older] if pk in self._waiting]
        listeners = [self._waiting[pk] for pk in sorted(pks)]
        return [each for each in listeners if one.to_run in (None, each.run_id)]

    def _choose(self, candidates: Mapping[int, Sequence[Listener]]) -> dict[int, Event]:
        """Give each wait the first of these events that fits and that its run does not know; those look no more."""
        taken = self._known_to_runs(candidates)
        found: dict[int, Event] = {}
        for event in Event.objects.filter(pk__in=candidates).order_by("id"):
            for listener in candidates[event.pk]:
                run_id = listener.run_id
                if listener.pk in self._waiting and (run_id, event.pk) not in taken and fits_filter(listener, event):
                    taken.add((run_id, event.pk))
                    found[listener.pk] = event
                    del self._waiting[listener.pk]
        return found

    def _known_to_runs(self, candidates: Mapping[int, Sequence[Listener]]) -> set[tuple[UUID, int]]:
        """Give runs with events that they have got, or that started them or the tree they belong to."""
        if not candidates:
            return set()
        started: dict[UUID | None, set[int]] = defaultdict(set)
        starts = Match.objects.filter(event__in=candidates, status=MatchStatus.STARTED, run__isnull=False)
        for run_id, event in starts.order_by().values_list("run_id", "event_id"):
            started[run_id].add(event)
        runs = {listener.run_id for waits in candidates.values() for listener in waits}
        known = {(id, event) for id in runs for top in (id, self._runs[id].root_id) for event in started.get(top, ())}
        tokens = {told_token(pk): pk for pk in candidates}
        got = Inbox.objects.filter(run_id__in=runs, token__in=tokens).order_by()
        return known | {(run_id, tokens[token]) for run_id, token in got.values_list("run_id", "token")}


def _rows(events: QuerySet[Event]) -> Iterator[_Came]:
    rows = events.order_by().values_list("pk", "name", "to_run_id", "dispatched_at")
    return (_Came(*row) for row in rows.iterator())


def _named(events: QuerySet[Event], patterns: Iterable[str]) -> QuerySet[Event]:
    """Choose by names that fit one of the patterns, where that is few."""
    names = [pattern for pattern in patterns if not pattern.endswith(ANY)]
    beginnings = [pattern[:-1] for pattern in patterns if pattern.endswith(ANY)]
    if "" in beginnings or len(beginnings) > MAX_BEGINNINGS:
        return events
    return events.filter(reduce(or_, (Q(name__startswith=each) for each in beginnings), Q(name__in=names)))
