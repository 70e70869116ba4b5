"""What becomes of an event at the subscriptions it fits: runs, or the reason why there is none.

All of it happens within the dispatcher's transaction, which holds the workspace: nobody else works on its lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from agents.engine import control
from agents.engine.canonical import JSON
from agents.engine.outages import DATABASE_ERRORS
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

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Launched:
    """What was done: how many runs were started or woken, and which are to be cancelled once that is committed."""

    runs: int = 0
    cancelled: list[UUID] = field(default_factory=list)


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


def launch(event: Event, subscription: Subscription, now: datetime, launched: Launched) -> None:
    """Carry out what an event that fits a subscription leads to: a run, a place in the line, a reason."""
    view = event_view(event)
    match = Match(event=event, subscription=subscription, name=subscription.name, at=now, status=MatchStatus.HELD)
    if event.depth > MAX_CHAIN:
        match.status = MatchStatus.SKIPPED
        match.reason = f"the chain of events is over {MAX_CHAIN} long: each came from a run that the one before started"
        match.save(force_insert=True)
        return
    rules = flow.read_rules(subscription.flow)
    if rules.is_idle:
        _start([match], [view], subscription, launched)
        match.save(force_insert=True)
        return
    match.key = key_of(rules, view)
    line, _ = Flow.objects.get_or_create(subscription=subscription, key=match.key)
    if Match.objects.filter(subscription=subscription, key=match.key, status=MatchStatus.HELD).count() >= MAX_LINE:
        match.status, match.reason = MatchStatus.SKIPPED, f"{MAX_LINE:,} events of this key are held already"
        match.save(force_insert=True)
        return
    match.save(force_insert=True)
    state = _read_state(line.state)
    line.state = _write_state(flow.arrived(rules, state, now.timestamp()))
    advance_line(line, subscription, now, launched)


def advance_line(line: Flow, subscription: Subscription, now: datetime, launched: Launched) -> None:
    """Let the events of a key go on as far as they may."""
    rules = flow.read_rules(subscription.flow)
    held = Match.objects.filter(subscription=subscription, key=line.key, status=MatchStatus.HELD).order_by("id")
    look = max(LOOK, rules.batch.count if rules.batch else 0)
    found = list(held.select_related("event")[: look + 1])
    front = found[:look]
    active = _active_runs(subscription, line) if rules.overlap != "allow" else []
    done = flow.advance(
        rules,
        _read_state(line.state),
        flow.Line([match.at.timestamp() for match in front], more=len(found) > look),
        len(active),
        now.timestamp(),
    )
    for action in done.actions:
        taken, front = front[: action.count], front[action.count :]
        if isinstance(action, flow.Skip):
            for match in taken:
                match.status, match.reason = MatchStatus.SKIPPED, action.reason[:300]
        else:
            _start(taken, [event_view(match.event) for match in taken], subscription, launched)
            active += [run for run in {match.run_id for match in taken} if run is not None]
        Match.objects.bulk_update(taken, ("status", "reason", "run"))
    due = done.due
    if rules.overlap == "cancel" and len(active) > 1:
        # Cancelling is no part of this transaction: should we die before it, the line is looked at again.
        launched.cancelled += active[:-1]
        due = min(due or float("inf"), now.timestamp() + CANCEL_AGAIN)
    line.state = _write_state(done.state)
    line.due_at = None if due is None else datetime.fromtimestamp(due, UTC)
    line.waits_for_id = active[-1] if done.waits_for_end and active else None
    line.touched_at = now
    line.save()


def key_of(rules: flow.Rules, view: Mapping[str, Any]) -> str:
    """Give the key of an event by which flow control tells it from others."""
    if rules.key is None:
        return ""
    found = find(view, rules.key)
    return str(found[0])[:200].replace("\x00", "") if found and not isinstance(found[0], dict | list) else ""


def _active_runs(subscription: Subscription, line: Flow) -> list[UUID]:
    """Give the runs of a key that go on, the oldest first."""
    started = Match.objects.filter(subscription=subscription, key=line.key, status=MatchStatus.STARTED)
    recent = started.order_by("-id").values_list("run_id", flat=True)[:LOOK]
    # Ids begin with the time.
    return list(Run.objects.filter(pk__in=list(recent), status__in=ACTIVE).order_by("pk").values_list("pk", flat=True))


def _start(taken: Sequence[Match], views: Sequence[Mapping[str, Any]], by: Subscription, launched: Launched) -> None:
    """Start a run with these events; that it can't be started is noted with them."""
    last = taken[-1].event
    told = {"event": last.pk, "event_name": last.name, "subscription": by.name}
    try:
        with transaction.atomic():
            run = start_run(
                workspace=last.workspace,
                agent=by.agent,
                version=by.version,
                input=make_input(by.input, views),
                priority=by.priority,
                source=SOURCE,
                tainted=any(match.event.tainted for match in taken),
                told=told,
            )
    except DATABASE_ERRORS:
        raise
    except ServiceError as error:
        fail(taken, error.message)
    except Exception:
        log.exception("launch_failed", subscription=by.pk, number=last.pk)
        fail(taken, "a fault of the product; its log says more")
    else:
        launched.runs += 1
        for match in taken:
            match.status, match.run, match.reason = MatchStatus.STARTED, run, ""


def fail(taken: Sequence[Match], reason: str) -> None:
    """Note that no run could be started with these events."""
    for match in taken:
        match.status, match.reason = MatchStatus.FAILED, reason[:300]


def cancel_runs(launched: Launched) -> None:
    """Cancel, after the commit, the runs in whose place others were started."""
    for pk in launched.cancelled:
        control.cancel(pk, by="a later event")


def _read_state(state: Mapping[str, Any]) -> flow.State:
    return flow.State(state.get("since"), tuple(state.get("started", ())))


def _write_state(state: flow.State) -> dict[str, JSON]:
    return {"since": state.since, "started": list(state.started)}
