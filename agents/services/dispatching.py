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
from agents.engine.outages import outage_of
from agents.models import ACTIVE, Event, Flow, Match, MatchStatus, Run, Subscription, SubscriptionState
from agents.services.event_log import forget_events
from agents.services.launching import (
    FAULT,
    Launched,
    Lines,
    advance_line,
    arrive,
    cancel_runs,
    fits,
    launch,
    note_broken,
)
from agents.services.lines import hold_workspace, skip_left_behind
from agents.services.listening import forget_ended, tell_listeners
from agents.triggers.flow import BadFlow
from agents.triggers.outbox import enqueue_deliveries
from agents.triggers.patterns import patterns_of

AT_ONCE = 50
"""Events of one transaction, and lines."""
LAUNCHED_AT_ONCE = 100
"""Subscriptions that the events of one transaction meet, and runs that its lines start, before the rest is left to the
next: others want to write, too."""
TRANSACTIONS_OF_A_ROUND = 20

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
        self._had_its_turn = 0
        # Not at once: workers that start together would all begin with it.
        self._tidy_at = time.monotonic() + TIDY_EVERY

    def __call__(self) -> Round:
        """Dispatch events that are there and let held ones go on; tells when there is more to do.

        A flood is worked off in several rounds: between them a worker may drain, and looks after what is due.
        """
        self._tidy()
        ended = self._lines_whose_run_ended()
        if not ended and not _has_work():
            return Round(next_due=_next_due())
        has_started, left = False, TRANSACTIONS_OF_A_ROUND
        while waiting := self._in_turn(_workspaces()):
            is_all = True
            for workspace_id in waiting:
                if left == 0:
                    return Round(has_started, 0.0)
                left -= 1
                self._had_its_turn = workspace_id
                done = _apart(workspace_id)
                has_started |= done is not None and done.launched.runs > 0
                is_all &= done is None or done.is_all
            if is_all:
                break
        return Round(has_started, _next_due())

    def _in_turn(self, workspaces: list[int]) -> list[int]:
        """Put those first that come after the one that was last at it."""
        return sorted(workspaces, key=lambda id: (id <= self._had_its_turn, id))

    def _tidy(self) -> None:
        """Forget, once a minute, what is too old or of no use any more."""
        if time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + TIDY_EVERY
        forget_ended()
        skip_left_behind()
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
    """Give the workspaces in which there is something to do."""
    events = Event.objects.filter(dispatched_at__isnull=True).order_by("workspace_id")
    lines = Flow.objects.filter(due_at__lte=database_now()).order_by("workspace_id")
    return sorted({pk for found in (events, lines) for pk in found.values_list("workspace_id", flat=True).distinct()})


def _dispatch_some(workspace_id: int) -> _Done | None:
    """Dispatch some events of a workspace, in their order; None if another worker is at it."""
    done = _Done()
    # In transactions of their own, each of which locks one run: told twice, a run hears it once.
    found = _undispatched(workspace_id)
    done.launched.runs += tell_listeners(workspace_id, found)
    with transaction.atomic():
        if not hold_workspace(workspace_id, wait=False):
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
            met = _meet(events, now, done.launched)
            done.is_all &= len(met) == len(events)
            enqueue_deliveries(met, now=now)
            Event.objects.filter(pk__in=[event.pk for event in met]).update(dispatched_at=now)
    cancel_runs(done.launched.cancelled)
    return done


def _apart(workspace_id: int) -> _Done | None:
    """Dispatch some events of a workspace; a fault of ours there must not hold up all others."""
    try:
        return _dispatch_some(workspace_id)
    except Exception as error:
        if outage_of(error) is not None:
            raise
        # Tried again when there is news, and at the next second.
        log.exception("workspace_failed", workspace=workspace_id)
        return None


def _undispatched(workspace_id: int) -> list[Event]:
    waiting = Event.objects.filter(workspace=workspace_id, dispatched_at__isnull=True)
    return list(waiting.select_related("workspace").order_by("id")[:AT_ONCE])


def _meet(events: Sequence[Event], now: datetime, launched: Launched) -> list[Event]:
    """Let events meet the subscriptions whose patterns their names fit; gives those that have met all.

    Once it is much for one transaction, the others are left to the next: also the subscriptions that an event has not
    met yet.
    """
    by_pattern = _subscriptions(events)
    known = set(Match.objects.filter(event__in=events).order_by().values_list("event_id", "subscription_id"))
    lines, count, done = Lines(), 0, []
    for event in events:
        patterns = [] if event.to_run_id is not None else patterns_of(event.name)
        waiting = [
            subscription
            for pattern in patterns
            for subscription in by_pattern.get(pattern, ())
            if (event.pk, subscription.pk) not in known
        ]
        for subscription in waiting:
            if count >= LAUNCHED_AT_ONCE:
                break
            count += _launch_apart(event, subscription, now, lines, launched)
        else:
            done.append(event)
            continue
        break
    for subscription, key in lines.held:
        _advance_apart(arrive(subscription, key, now), now, launched)
    return done


def _subscriptions(events: Sequence[Event]) -> dict[str, list[Subscription]]:
    """Give the subscriptions that events may fit, by their patterns."""
    patterns = {pattern for event in events if event.to_run_id is None for pattern in patterns_of(event.name)}
    active = Subscription.objects.filter(
        workspace=events[0].workspace_id, pattern__in=patterns, state=SubscriptionState.ACTIVE
    ).select_related("agent__current", "workspace")
    by_pattern: dict[str, list[Subscription]] = defaultdict(list)
    for subscription in active.order_by("id"):
        by_pattern[subscription.pattern].append(subscription)
    return by_pattern


def _launch_apart(event: Event, subscription: Subscription, now: datetime, lines: Lines, launched: Launched) -> bool:
    """Launch one if it fits, and tell whether it does; what is wrong with it must not hold up all other events."""
    try:
        if not fits(subscription.filter, event):
            return False
        with transaction.atomic():
            launched.runs += launch(event, subscription, now, lines)
    except Exception as error:
        if outage_of(error) is not None:
            raise
        log.exception("dispatch_failed", subscription=subscription.pk, number=event.pk)
        reason = f"its flow control: {error}" if isinstance(error, BadFlow) else FAULT
        Match.objects.create(
            event=event,
            subscription=subscription,
            name=subscription.name,
            status=MatchStatus.FAILED,
            reason=reason[:300],
            at=now,
        )
    return True


def _advance_lines(workspace_id: int, now: datetime, launched: Launched) -> bool:
    """Let held events go on whose time has come; tells whether that was all."""
    lines = Flow.objects.filter(workspace=workspace_id, due_at__lte=now).order_by("due_at")
    found = list(lines.select_related("subscription__agent__current", "subscription__workspace")[:AT_ONCE])
    for line in found:
        if launched.runs >= LAUNCHED_AT_ONCE:
            return False
        if line.subscription.state == SubscriptionState.ACTIVE:
            _advance_apart(line, now, launched)
        else:
            # It goes on when the subscription does.
            Flow.objects.filter(pk=line.pk).update(due_at=None, waits_for=None)
    return len(found) < AT_ONCE


def _advance_apart(line: Flow, now: datetime, launched: Launched) -> None:
    """Advance a line; what is wrong with it must not hold up all others."""
    try:
        with transaction.atomic():
            done = advance_line(line, now)
    except Exception as error:
        if outage_of(error) is not None:
            raise
        log.exception("line_failed", subscription=line.subscription_id, key=line.key)
        note_broken(line, f"held; its flow control: {error}" if isinstance(error, BadFlow) else f"held; {FAULT}")
    else:
        launched.runs += done.runs
        launched.cancelled += done.cancelled


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
    if deep := [event for event in caused if event.depth]:
        Event.objects.bulk_update(deep, ("depth",))
