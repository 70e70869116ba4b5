"""What becomes of an event at the subscriptions it fits: runs, or the reason why there is none.

All of it happens within the dispatcher's transaction, which holds the workspace: nobody else works on its lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import QuerySet

from agents.engine import control
from agents.engine.canonical import JSON
from agents.engine.outages import outage_of
from agents.matching import matches
from agents.models import ACTIVE, Event, Flow, Match, MatchStatus, Run, Subscription
from agents.services.errors import ServiceError
from agents.services.runs import start_run
from agents.triggers import flow
from agents.triggers.inputs import make_input
from agents.triggers.paths import find

MAX_CHAIN = 16
"""So many events in a row may each come from a run that the one before has started."""
MAX_LINE = 10_000
"""Events of a key that are held at most."""
LOOK = 100
"""Held events that are looked at together."""
CANCEL_AGAIN = 1.0
"""Seconds after which a run in whose place another one was started is cancelled, should it still go on."""
SOURCE = "event"
FAULT = "a fault of the product; its log says more"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Launched:
    """What was done: how many runs were started or woken, and which are to be cancelled once that is committed."""

    runs: int = 0
    cancelled: list[UUID] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an event, or of several together."""

    status: MatchStatus
    reason: str = ""
    run: Run | None = None


def event_view(event: Event) -> dict[str, JSON]:
    """Give an event as filters, templates and runs see it."""
    return {
        "id": event.pk,
        "name": event.name,
        "source": event.source,
        "event_id": event.event_id,
        "occurred_at": event.occurred_at.isoformat(),
        "received_at": event.received_at.isoformat(),
        "attributes": event.attributes or {},
        "data": event.data,
    }


def fits(filter: JSON, event: Event) -> bool:
    """Tell whether an event, whose name fits, has such data as a filter asks for."""
    return filter is None or matches(filter, event.data)


def launch(event: Event, subscription: Subscription, now: datetime, lines: Lines) -> int:
    """Let an event that fits a subscription start a run, or take its place in the line, or note why not.

    Gives how many runs were started. What takes its place in a line goes on when that is advanced: once, after all
    events of the transaction have come.
    """
    match = Match(event=event, subscription=subscription, name=subscription.name, at=now, status=MatchStatus.HELD)
    if event.depth > MAX_CHAIN:
        match.status = MatchStatus.SKIPPED
        match.reason = f"the chain of events is over {MAX_CHAIN} long: each came from a run that the one before started"
        match.save(force_insert=True)
        return 0
    rules = flow.read_rules(subscription.flow)
    if rules.is_idle:
        outcome = _start([event], subscription)
        match.status, match.reason, match.run = outcome.status, outcome.reason, outcome.run
        match.save(force_insert=True)
        return int(outcome.run is not None)
    match.key = key_of(rules, event_view(event))
    held = lines.held_at(subscription, match.key)
    if held >= MAX_LINE:
        match.status, match.reason = MatchStatus.SKIPPED, f"{MAX_LINE:,} events of this key are held already"
        match.save(force_insert=True)
        return 0
    match.save(force_insert=True)
    lines.held[subscription, match.key] = held + 1
    return 0


@dataclass(slots=True)
class Lines:
    """The lines to which the events of a transaction come, each with how many it holds."""

    held: dict[tuple[Subscription, str], int] = field(default_factory=dict)

    def held_at(self, subscription: Subscription, key: str) -> int:
        """Give how many events of a key are held, counted up to the most that may be."""
        if (subscription, key) not in self.held:
            self.held[subscription, key] = _held(subscription, key)[:MAX_LINE].count()
        return self.held[subscription, key]


def arrive(subscription: Subscription, key: str, now: datetime) -> Flow:
    """Give the line of a key, to which events have come just now; they go on, or not, when it is advanced."""
    line, _ = Flow.objects.get_or_create(
        subscription=subscription, key=key, defaults={"workspace_id": subscription.workspace_id}
    )
    line.subscription = subscription
    line.state = _write_state(
        flow.arrived(flow.read_rules(subscription.flow), _read_state(line.state), now.timestamp())
    )
    return line


def advance_line(line: Flow, now: datetime) -> Launched:
    """Let the events of a key go on as far as they may; raises BadFlow for what is no flow control."""
    subscription = line.subscription
    rules = flow.read_rules(subscription.flow)
    most = max(LOOK, rules.batch.count if rules.batch else 0)
    found = list(_held(subscription, line.key).order_by("id").values_list("pk", "at")[: most + 1])
    front = found[:most]
    active = _active_runs(line, rules) if rules.overlap != "allow" else []
    done = flow.advance(
        rules,
        _read_state(line.state),
        flow.Line([at.timestamp() for _, at in front], more=len(found) > most),
        len(active),
        now.timestamp(),
    )
    launched = Launched()
    for action in done.actions:
        taken, front = [pk for pk, _ in front[: action.count]], front[action.count :]
        if isinstance(action, flow.Skip):
            outcome = Outcome(MatchStatus.SKIPPED, action.reason[:300])
        else:
            outcome = _start(_events(taken), subscription)
        Match.objects.filter(pk__in=taken).update(status=outcome.status, reason=outcome.reason, run=outcome.run)
        if outcome.run is not None:
            launched.runs += 1
            active.append(outcome.run.pk)
    due = done.due
    if rules.overlap == "cancel" and len(active) > 1:
        # Cancelling is no part of this transaction: should we die before it, the line is looked at again.
        launched.cancelled = active[:-1]
        due = min(due or float("inf"), now.timestamp() + CANCEL_AGAIN)
    line.state = _write_state(done.state)
    line.due_at = None if due is None else datetime.fromtimestamp(due, UTC)
    line.waits_for_id = active[-1] if done.waits_for_end and active else None
    line.touched_at = now
    line.save()
    return launched


def note_broken(line: Flow, reason: str) -> None:
    """Say with all that a line holds why nothing comes of it, until somebody changes its subscription."""
    _held(line.subscription, line.key).update(reason=reason[:300])
    Flow.objects.filter(pk=line.pk).update(due_at=None, waits_for=None)


def key_of(rules: flow.Rules, view: Mapping[str, Any]) -> str:
    """Give the key of an event by which flow control tells it from others."""
    if rules.key is None:
        return ""
    found = find(view, rules.key)
    return str(found[0])[:200].replace("\x00", "") if found and not isinstance(found[0], dict | list) else ""


def _held(subscription: Subscription, key: str) -> QuerySet[Match]:
    return Match.objects.filter(subscription=subscription, key=key, status=MatchStatus.HELD)


def _events(taken: Sequence[int]) -> list[Event]:
    """Give the events that are held, in their order."""
    held = Match.objects.filter(pk__in=taken).select_related("event__workspace").order_by("pk")
    return [match.event for match in held]


def _active_runs(line: Flow, rules: flow.Rules) -> list[UUID]:
    """Give the runs of a key that go on, the oldest first."""
    started = Match.objects.filter(subscription=line.subscription_id, key=line.key, status=MatchStatus.STARTED)
    # All events of a batch name its run; the one before it has to be seen, too.
    most = max(LOOK, 2 * rules.batch.count if rules.batch else 0)
    recent = set(started.order_by("-id").values_list("run_id", flat=True)[:most])
    # Ids begin with the time.
    return list(Run.objects.filter(pk__in=recent, status__in=ACTIVE).order_by("pk").values_list("pk", flat=True))


def _start(events: Sequence[Event], by: Subscription) -> Outcome:
    """Start a run with these events, or say why it can't be started."""
    last = events[-1]
    told = {"event": last.pk, "event_name": last.name, "subscription": by.name}
    try:
        with transaction.atomic():
            run = start_run(
                workspace=last.workspace,
                agent=by.agent,
                version=by.version,
                input=make_input(by.input, [event_view(event) for event in events]),
                priority=by.priority,
                source=SOURCE,
                tainted=any(event.tainted for event in events),
                told=told,
            )
    except ServiceError as error:
        return Outcome(MatchStatus.FAILED, error.message[:300])
    except Exception as error:
        if outage_of(error) is not None:
            raise
        log.exception("launch_failed", subscription=by.pk, number=last.pk)
        return Outcome(MatchStatus.FAILED, FAULT)
    return Outcome(MatchStatus.STARTED, run=run)


def cancel_runs(runs: Iterable[UUID]) -> None:
    """Cancel, after the commit, the runs in whose place others were started."""
    for pk in runs:
        control.cancel(pk, by="a later event")


def _read_state(state: Mapping[str, Any]) -> flow.State:
    return flow.State(state.get("since"), tuple(state.get("started", ())))


def _write_state(state: flow.State) -> dict[str, JSON]:
    return {"since": state.since, "started": list(state.started)}
