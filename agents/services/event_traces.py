"""What came of events: at subscriptions, at runs that waited, at endpoints; and which events are behind a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, Max, Min, QuerySet

from agents.matching import why_not
from agents.models import (
    Event,
    Flow,
    Match,
    MatchStatus,
    Run,
    RunEvent,
    Subscription,
    SubscriptionState,
    WebhookDelivery,
    WebhookEndpoint,
)
from agents.triggers.patterns import patterns_of

SHOWN = 200
"""Rows of a delivery log that are given at once."""
NEAR_MISSES = 20
"""Subscriptions to an event's name of which it is said why they did not take it."""
NAMED = 3
"""Events behind a run, and replays of an event, that are named."""


class Outcome(NamedTuple):
    """What came of an event, and how many times."""

    status: str
    times: int


class NearMiss(NamedTuple):
    """A subscription to an event's name that has nothing of it, and why."""

    subscription: str
    reason: str


class Origin(NamedTuple):
    """What of the workspace's own an event comes from: a schedule, a watcher, a source of webhooks."""

    kind: str
    name: str


class Cause(NamedTuple):
    """An event that started or woke a run, by a row of its delivery log."""

    match: Match
    origin: Origin | None


@dataclass(frozen=True, slots=True)
class Causes:
    """The events that started a run, and those that woke it, the latest first, and how many more there are of each.

    `told` is what the run's own log says of what started it; that outlasts the events.
    """

    started: list[Cause] = field(default_factory=list)
    more_started: int = 0
    woken: list[Cause] = field(default_factory=list)
    more_woken: int = 0
    told: dict[str, Any] = field(default_factory=dict)


def outcomes_of(events: Iterable[Event]) -> dict[int, list[Outcome]]:
    """Give what came of some events, by their numbers; nothing for those that met nobody."""
    found: dict[int, list[Outcome]] = {}
    matches = Match.objects.filter(event__in=[event.pk for event in events])
    counted = matches.order_by("event", "status").values_list("event_id", "status").annotate(times=Count("id"))
    for event_id, status, times in counted:
        found.setdefault(event_id, []).append(Outcome(status, times))
    return found


def matches_of(event: Event) -> tuple[list[Match], int]:
    """Give the first rows of an event's delivery log with their runs, and how many more there are."""
    matches = Match.objects.filter(event=event).order_by("id")
    rows = list(matches.select_related("subscription", "run__agent_version__agent")[: SHOWN + 1])
    return rows[:SHOWN], matches.count() - SHOWN if len(rows) > SHOWN else 0


def near_misses_of(event: Event) -> list[NearMiss]:
    """Say of today's subscriptions to the event's name why they did not take it: what they would say of it now.

    Nothing before the event was dispatched: they may still take it.
    """
    if event.to_run_id is not None or event.dispatched_at is None:
        return []
    by_name = Subscription.objects.filter(workspace=event.workspace_id, pattern__in=patterns_of(event.name))
    without = by_name.exclude(matches__event=event).order_by("name")[:NEAR_MISSES]
    return [NearMiss(one.name, _why_not(one, event)) for one in without]


def _why_not(subscription: Subscription, event: Event) -> str:
    if subscription.state != SubscriptionState.ACTIVE:
        return "it is paused"
    if subscription.filter is not None and (said := why_not(subscription.filter, event.data)):
        return said
    return "it was not there yet, or not like this, when the event was dispatched"


def replays_of(event: Event) -> list[Event]:
    """Give the latest replays of an event."""
    return list(Event.objects.filter(replay_of=event).order_by("-id")[:NAMED])


def webhooks_of(event: Event) -> list[WebhookDelivery]:
    """Give the webhooks by which endpoints are told of an event."""
    # By its endpoints: the deliveries of one event have no index of their own.
    endpoints = WebhookEndpoint.objects.filter(workspace=event.workspace_id).values_list("pk", flat=True)
    deliveries = WebhookDelivery.objects.filter(endpoint__in=list(endpoints), event=event.pk)
    return list(deliveries.select_related("endpoint").order_by("id")[:SHOWN])


def origin_of(event: Event) -> Origin | None:
    """Say what of the workspace's own an event comes from; None for what others tell of."""
    if event.source in ("schedule", "watcher") and event.name.startswith(f"{event.source}."):
        return Origin(event.source, event.name.partition(".")[2])
    kind, _, name = event.source.partition(":")
    return Origin("webhook source", name) if kind == "webhook" and name else None


def causes_of(run: Run) -> Causes:
    """Say which events started a run and which woke it."""
    matches = Match.objects.filter(run=run).select_related("event", "subscription").order_by("-id")
    started, more_started = _some(matches.filter(status=MatchStatus.STARTED))
    woken, more_woken = _some(matches.filter(status=MatchStatus.WOKE))
    told: dict[str, Any] = {}
    if not started and run.source == "event":
        # They are forgotten by now.
        first = RunEvent.objects.filter(run=run, number=1).values_list("data", flat=True).first()
        told = first if isinstance(first, dict) and "event" in first else {}
    return Causes(started, more_started, woken, more_woken, told)


def _some(matches: QuerySet[Match]) -> tuple[list[Cause], int]:
    rows = list(matches[: NAMED + 1])
    return [Cause(row, origin_of(row.event)) for row in rows[:NAMED]], matches.count() - NAMED if len(
        rows
    ) > NAMED else 0


@dataclass(frozen=True, slots=True)
class Figures:
    """How often events met a subscription, when last, and what came of it; `goes_on_at` is when held ones may go on."""

    matched: int = 0
    last_at: datetime | None = None
    outcomes: tuple[Outcome, ...] = ()
    goes_on_at: datetime | None = None


def figures_of(subscriptions: Iterable[Subscription]) -> dict[int, Figures]:
    """Give the figures of some subscriptions, as far as the delivery log reaches back; nothing for those unmet."""
    ids = [subscription.pk for subscription in subscriptions]
    matches = Match.objects.filter(subscription__in=ids).order_by("subscription", "status")
    counted = list(matches.values_list("subscription_id", "status").annotate(times=Count("id"), last=Max("id")))
    latest: dict[int, int] = {}
    for pk, _, _, last in counted:
        latest[pk] = max(last, latest.get(pk, 0))
    at = dict(Match.objects.filter(pk__in=latest.values()).values_list("subscription_id", "at"))
    due = Flow.objects.filter(subscription__in=ids, due_at__isnull=False).order_by()
    goes_on = dict(due.values_list("subscription_id").annotate(at=Min("due_at")))
    return {
        pk: Figures(
            matched=sum(times for _, _, times, _ in rows),
            last_at=at.get(pk),
            outcomes=tuple(Outcome(status, times) for _, status, times, _ in rows),
            goes_on_at=goes_on.get(pk),
        )
        for pk, rows in ((pk, [row for row in counted if row[0] == pk]) for pk in latest)
    }


def matches_at(subscription: Subscription) -> QuerySet[Match]:
    """Give what came of the events that met a subscription, the latest first."""
    matches = Match.objects.filter(subscription=subscription).order_by("-id")
    return matches.select_related("event", "run__agent_version__agent")
