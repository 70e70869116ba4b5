"""Schedules: made, changed, paused, fired by hand. Workers fire what is due (firing.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from uuid_utils.compat import uuid7

from agents.engine.canonical import digest
from agents.models import CatchUp, Event, Schedule, User, Workspace
from agents.services import timed
from agents.services.errors import InvalidInput, NotFound
from agents.services.events import emit_event
from agents.services.rights import require_admin, require_writer
from agents.services.standing import drop_subscription, keep_subscription
from agents.triggers.schedules import MAX_CATCH_UP

MAX_SCHEDULES = 5_000
WHAT = "change its schedules"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(timed.Wanted):
    """What a schedule is to be."""

    catch_up: str = CatchUp.ONE
    catch_up_limit: int = 1

    def write(self, row: Schedule, now: datetime) -> None:  # type: ignore[override]  # each table has its form
        if self.catch_up not in CatchUp.values:
            raise InvalidInput(f"Choose one of: {', '.join(CatchUp.values)}.", "catch_up")
        if not 1 <= self.catch_up_limit <= MAX_CATCH_UP:
            raise InvalidInput(f"From 1 to {MAX_CATCH_UP} firings are made up for.", "catch_up_limit")
        row.catch_up, row.catch_up_limit = self.catch_up, self.catch_up_limit
        timed.Wanted.write(self, row, now)


def list_schedules(workspace: Workspace) -> QuerySet[Schedule]:
    """Give the workspace's schedules by name."""
    found = Schedule.objects.filter(workspace=workspace)
    return found.select_related("workspace", "agent", "created_by", "subscription")


def get_schedule(workspace: Workspace, name: str) -> Schedule:
    """Give one of them; raises NotFound."""
    schedule = list_schedules(workspace).filter(name=name).first()
    if schedule is None:
        raise NotFound(f"This workspace has no schedule named {name[:100]!r}.")
    return schedule


def create_schedule(workspace: Workspace, name: str, wanted: Wanted, *, by: User | None) -> Schedule:
    """Make a schedule. It emits `schedule.<name>` whenever it is due, and that starts its agent, if it has one."""
    require_admin(workspace.pk, by, WHAT)
    timed.check_name(name)
    if list_schedules(workspace).count() >= MAX_SCHEDULES:
        raise InvalidInput(f"A workspace has at most {MAX_SCHEDULES:,} schedules.", "name")
    schedule = Schedule(workspace=workspace, name=name, created_by=by)
    wanted.write(schedule, timezone.now())
    try:
        with transaction.atomic():
            schedule.save(force_insert=True)
            keep_subscription(schedule, by=by)
    except IntegrityError as error:
        raise InvalidInput(f"There is a schedule named {name!r} already.", "name") from error
    timed.poke()
    log.info("schedule_created", workspace=workspace.slug, schedule=name, by=_name(by))
    return schedule


def change_schedule(schedule: Schedule, wanted: Wanted, *, by: User | None) -> Schedule:
    """Change all of a schedule but its name. A broken one that can be reckoned again goes on."""
    require_admin(schedule.workspace_id, by, WHAT)
    with transaction.atomic():
        # A worker may be firing it at this moment.
        schedule = _locked(schedule)
        wanted.write(schedule, timezone.now())
        schedule.save()
        keep_subscription(schedule, by=by)
    timed.poke()
    log.info("schedule_changed", workspace=schedule.workspace.slug, schedule=schedule.name, by=_name(by))
    return schedule


def remove_schedule(schedule: Schedule, *, by: User | None) -> None:
    """Remove a schedule. Runs that it has started go on."""
    require_admin(schedule.workspace_id, by, WHAT)
    with transaction.atomic():
        drop_subscription(schedule)
        schedule.delete()
    log.info("schedule_removed", workspace=schedule.workspace.slug, schedule=schedule.name, by=_name(by))


def pause_schedule(schedule: Schedule, *, by: User | None) -> Schedule:
    """Let a schedule fire no more until it is resumed; raises Conflict."""
    return _set_paused(schedule, by, is_paused=True)


def resume_schedule(schedule: Schedule, *, by: User | None) -> Schedule:
    """Let a paused schedule go on with its next time; what came meanwhile is not made up for. Raises Conflict."""
    return _set_paused(schedule, by, is_paused=False)


def run_schedule_now(schedule: Schedule, *, by: User | None, key: str = "") -> Event:
    """Fire a schedule once, besides its times, paused or not; with the `key` of an earlier call, give its event."""
    require_writer(schedule.workspace_id, by, "fire its schedules")
    now = timezone.now()
    event = emit_event(
        schedule.workspace,
        event_name(schedule),
        {"schedule": schedule.name, "due_at": None, "by": _name(by)},
        source="schedule",
        event_id=f"{schedule.pk}:{digest([key])[:40] if key else uuid7()}",
        occurred_at=now,
    )
    log.info("schedule_fired_by_hand", workspace=schedule.workspace.slug, schedule=schedule.name, by=_name(by))
    return event


def event_name(schedule: Schedule) -> str:
    """Give the name of a schedule's events."""
    return f"schedule.{schedule.name}"


def _set_paused(schedule: Schedule, by: User | None, *, is_paused: bool) -> Schedule:
    require_writer(schedule.workspace_id, by, "pause and resume its schedules")
    with transaction.atomic():
        schedule = timed.set_paused(_locked(schedule), is_paused=is_paused)
    log.info("schedule_paused" if is_paused else "schedule_resumed", schedule=schedule.name, by=_name(by))
    return schedule


def _locked(schedule: Schedule) -> Schedule:
    found = Schedule.objects.select_for_update(of=("self",)).filter(pk=schedule.pk)
    locked = found.select_related("workspace", "agent").first()
    if locked is None:
        raise NotFound(f"The schedule {schedule.name!r} has been removed.")
    return locked


def _name(by: User | None) -> str:
    return by.get_username() if by is not None else "system"
