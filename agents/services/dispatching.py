"""The dispatcher: each event meets, once, the subscriptions and the waiting runs that it fits.

Several workers dispatch at the same time, each another workspace: one transaction takes some of its events in their
order and writes all that they lead to, so that a crash between any two commits leaves an event either untouched or
done. The pair of event and subscription is unique besides.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, Min, OuterRef

from agents.engine.beside import Round
from agents.engine.database_clock import database_now
from agents.engine.outages import DATABASE_ERRORS
from agents.models import ACTIVE, Event, Flow, Match, MatchStatus, Run, Subscription, SubscriptionState
from agents.services.event_log import forget_events
from agents.services.launching import Launched, advance_line, cancel_runs, fits, launch
from agents.services.listening import forget_ended, tell_listeners
from agents.triggers.outbox import enqueue_deliveries
from agents.triggers.patterns import patterns_of

AT_ONCE = 50
"""Events of one transaction."""
LOCK_CLASS = 0x6576
"""Of PostgreSQL's advisory locks: with the workspace's number it says who dispatches its events."""

LOOK_AT_ENDS = 1.0
"""Seconds between two looks at the runs whose end held events wait for."""

TIDY_EVERY = 60.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Done:
    """What a transaction did."""

    is_all: bool = True
    launched: Launched = field(default_factory=Launched)


class Dispatcher:
    """Dispatches, round by round. One for each worker."""

    def __init__(self) -> None:
        self._look_at_ends_at = 0.0
        # Not at once: workers that start together would all begin with it.
        self._tidy_at = time.monotonic() + TIDY_EVERY

    def __call__(self) -> Round:
        """Dispatch all events that are there and let held ones go on; tells when the next held one is due."""
        self._tidy()
        ended = self._lines_whose_run_ended()
        if not ended and not _has_work():
            return Round(next_due=_next_due())
        has_started = False
        while waiting := _workspaces():
            done = [_dispatch_some(workspace_id) for workspace_id in waiting]
            has_started |= any(one is not None and one.launched.runs for one in done)
            if all(one is None or one.is_all for one in done):
                break
        return Round(has_started, _next_due())

    def _tidy(self) -> None:
        """Forget, once a minute, what is too old or of no use any more."""
        if time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + TIDY_EVERY
        forget_ended()
        forget_events(database_now() - timedelta(days=settings.EVENT_DAYS))

    def _lines_whose_run_ended(self) -> list[int]:
        """Make the lines due that waited for the end of a run which has ended. Looks once a second."""
        if time.monotonic() < self._look_at_ends_at:
            return []
        self._look_at_ends_at = time.monotonic() + LOOK_AT_ENDS
        goes_on = Exists(Run.objects.filter(pk=OuterRef("waits_for_id"), status__in=ACTIVE))
        ended = list(Flow.objects.filter(~goes_on, waits_for__isnull=False).values_list("pk", flat=True)[:1_000])
        if ended:
            Flow.objects.filter(pk__in=ended).update(waits_for=None, due_at=database_now())
        return ended


def _has_work() -> bool:
    """Tell whether events wait, or lines are due. Asked at each news, so it is written out."""
    with connection.cursor() as cursor:
        now = connection.ops.adapt_datetimefield_value(database_now())
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM agents_event WHERE dispatched_at IS NULL)"
            " OR EXISTS (SELECT 1 FROM agents_flow WHERE due_at IS NOT NULL AND due_at <= %s)",
            [now],
        )
        return bool(cursor.fetchone()[0])


def _next_due() -> float | None:
    """Give the seconds until the next line is due."""
    upcoming = Flow.objects.filter(due_at__isnull=False).aggregate(at=Min("due_at"))["at"]
    return None if upcoming is None else (upcoming - database_now()).total_seconds()


def _workspaces() -> list[int]:
    """Give the workspaces in which there is something to do: each has its turn, however much another one has."""
    events = Event.objects.filter(dispatched_at__isnull=True).order_by("workspace")
    lines = Flow.objects.filter(due_at__lte=database_now())
    return sorted(
        {
            *events.values_list("workspace_id", flat=True).distinct(),
            *lines.values_list("subscription__workspace_id", flat=True),
        }
    )


def _dispatch_some(workspace_id: int) -> _Done | None:
    """Dispatch some events of a workspace, in their order; None if another worker is at it."""
    done = _Done()
    # In transactions of their own, each of which locks one run: told twice, a run hears it once.
    found = _undispatched(workspace_id)
    done.launched.runs += tell_listeners(workspace_id, found)
    with transaction.atomic():
        if not _take(workspace_id):
            return None
        now = database_now()
        done.is_all = _advance_lines(workspace_id, now, done.launched)
        # Those that came meanwhile have not met the runs that wait; another worker may have been faster with others.
        told = [event.pk for event in found]
        left = Event.objects.filter(pk__in=told, dispatched_at__isnull=True).select_related("workspace")
        events = list(left.order_by("id"))
        done.is_all &= len(found) < AT_ONCE
        if events:
            _deepen(events)
            _meet(events, now, done.launched)
            enqueue_deliveries(events, now=now)
            Event.objects.filter(pk__in=[event.pk for event in events]).update(dispatched_at=now)
    cancel_runs(done.launched)
    return done


def _undispatched(workspace_id: int) -> list[Event]:
    waiting = Event.objects.filter(workspace=workspace_id, dispatched_at__isnull=True)
    return list(waiting.select_related("workspace").order_by("id")[:AT_ONCE])


def _take(workspace_id: int) -> bool:
    """Take the workspace for this transaction; on SQLite whoever writes is alone anyway."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK_CLASS, workspace_id])
        return bool(cursor.fetchone()[0])


def _meet(events: Sequence[Event], now: datetime, launched: Launched) -> None:
    """Let events meet the subscriptions whose patterns their names fit."""
    workspace_id = events[0].workspace_id
    patterns = {pattern for event in events if event.to_run_id is None for pattern in patterns_of(event.name)}
    by_pattern: dict[str, list[Subscription]] = defaultdict(list)
    active = Subscription.objects.filter(
        workspace=workspace_id, pattern__in=patterns, state=SubscriptionState.ACTIVE
    ).select_related("agent__current", "workspace")
    for subscription in active.order_by("id"):
        by_pattern[subscription.pattern].append(subscription)
    if not by_pattern:
        return
    met = set(Match.objects.filter(event__in=events).values_list("event_id", "subscription_id"))
    for event in events:
        if event.to_run_id is not None:
            continue
        for pattern in patterns_of(event.name):
            for subscription in by_pattern.get(pattern, ()):
                if (event.pk, subscription.pk) not in met and fits(subscription.filter, event):
                    _launch_apart(event, subscription, now, launched)


def _launch_apart(event: Event, subscription: Subscription, now: datetime, launched: Launched) -> None:
    """Launch one; a fault of ours there must not hold up all other events."""
    try:
        with transaction.atomic():
            launch(event, subscription, now, launched)
    except DATABASE_ERRORS:
        raise
    except Exception:
        log.exception("dispatch_failed", subscription=subscription.pk, number=event.pk)
        Match.objects.create(
            event=event,
            subscription=subscription,
            name=subscription.name,
            status=MatchStatus.FAILED,
            reason="a fault of the product; its log says more",
            at=now,
        )


def _advance_lines(workspace_id: int, now: datetime, launched: Launched) -> bool:
    """Let held events go on whose time has come; tells whether that was all."""
    lines = Flow.objects.filter(due_at__lte=now, subscription__workspace=workspace_id).order_by("due_at")
    found = list(lines.select_related("subscription__agent__current", "subscription__workspace")[:AT_ONCE])
    for line in found:
        if line.subscription.state == SubscriptionState.ACTIVE:
            advance_line(line, line.subscription, now, launched)
        else:
            # It goes on when the subscription does.
            Flow.objects.filter(pk=line.pk).update(due_at=None, waits_for=None)
    return len(found) < AT_ONCE


def _deepen(events: Sequence[Event]) -> None:
    """Give events that come from runs their place in the chain: one behind the event that started the run."""
    caused = {event: event.cause_id for event in events if event.cause_id is not None}
    if not caused:
        return
    runs = Run.objects.filter(pk__in=set(caused.values()))
    top = {run.pk: run.root_id if run.root_id is not None else run.pk for run in runs.only("id", "root_id")}
    starts = Match.objects.filter(run_id__in=set(top.values()), status=MatchStatus.STARTED)
    started = starts.values_list("run_id", "event__depth")
    depths: dict[object, int] = defaultdict(int)
    for run_id, depth in started:
        depths[run_id] = max(depths[run_id], depth + 1)
    for event, cause in caused.items():
        event.depth = depths[top.get(cause)]
    Event.objects.bulk_update(caused, ("depth",))
