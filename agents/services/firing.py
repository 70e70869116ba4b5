"""Firing the schedules that are due.

The event, and the time at which the schedule is due next, are one transaction; whoever has locked a schedule fires it,
the others pass it over. Whatever dies in between, each firing is there once: its id is the schedule's and its time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Min

from agents.engine.database_clock import database_now
from agents.engine.outages import DATABASE_ERRORS, outage_of
from agents.models import Schedule
from agents.services.events import emit_event
from agents.services.schedules import event_name
from agents.services.timed import set_broken, timing_of
from agents.triggers.schedules import CatchUp, Firing, plan

AT_ONCE = 100
"""Schedules of one transaction: so long does nobody else see that they have fired."""
FIELDS = ("due_at", "fires_at", "fired_at", "skipped", "skipped_at", "broken")
"""What firing changes in a schedule."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Fired:
    """How many schedules were due, and in how many seconds the next one is; None if there is none."""

    count: int
    next_in: float | None


def fire_due(now: Callable[[], datetime] = database_now) -> Fired:
    """Fire what is due. Several workers may do so at the same time."""
    count = 0
    while True:
        moment = now()
        fired = _fire_some(moment)
        count += fired
        if fired < AT_ONCE:
            break
    upcoming = Schedule.objects.filter(fires_at__isnull=False).aggregate(next=Min("fires_at"))["next"]
    return Fired(count, None if upcoming is None else max(0.0, (upcoming - now()).total_seconds()))


def _fire_some(now: datetime) -> int:
    # Most of the time nothing is due: no transaction for that.
    if not Schedule.objects.filter(fires_at__lte=now).exists():
        return 0
    with transaction.atomic():
        due = Schedule.objects.filter(fires_at__lte=now).select_related("workspace").order_by("fires_at")
        schedules = list(due.select_for_update(skip_locked=True, of=("self",))[:AT_ONCE])
        for schedule in schedules:
            _fire(schedule, now)
        Schedule.objects.bulk_update(schedules, FIELDS)
    return len(schedules)


def _fire(schedule: Schedule, now: datetime) -> None:
    """Emit a schedule's events and say when it is due next; one that can't is marked and harms no other."""
    try:
        firing = _planned(schedule, now)
        with transaction.atomic():
            for time in firing.fire:
                _emit(schedule, time)
    except Exception as error:
        if isinstance(error, DATABASE_ERRORS) and outage_of(error) is not None:
            raise
        log.exception("schedule_broken", schedule=str(schedule.pk), workspace=schedule.workspace.slug)
        words = "the database refuses it" if isinstance(error, DatabaseError) else str(error)
        set_broken(schedule, f"It could not be fired: {words}")
        return
    following = firing.following
    schedule.due_at = following.at if following else None
    schedule.fires_at = following.fires_at if following else None
    if firing.fire:
        schedule.fired_at = now
    if firing.skipped:
        schedule.skipped, schedule.skipped_at = firing.skipped, now
        log.info("firings_passed_over", schedule=schedule.name, count=firing.skipped, rule=schedule.catch_up)


def _planned(schedule: Schedule, now: datetime) -> Firing:
    rule = cast(CatchUp, schedule.catch_up)
    due = schedule.due_at or schedule.fires_at or now
    return plan(schedule.pk, timing_of(schedule), due, now, catch_up=rule, limit=schedule.catch_up_limit)


def _emit(schedule: Schedule, time: datetime) -> None:
    at = f"{time:%Y-%m-%dT%H:%M:%SZ}"
    emit_event(
        schedule.workspace,
        event_name(schedule),
        {"schedule": schedule.name, "due_at": at},
        source="schedule",
        event_id=f"{schedule.pk}:{at}",
        occurred_at=time,
    )
