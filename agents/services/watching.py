"""Looking where watchers look, when it is time.

Nothing is locked while a slow server answers: who looks has taken the watcher with a token, for as long as a look may
take. What was seen and the events about it are one transaction, if the token still holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Min

from agents.engine.canonical import JSON
from agents.engine.database_clock import database_now
from agents.engine.outages import DATABASE_ERRORS, outage_of
from agents.models import Watcher
from agents.services.events import emit_event
from agents.services.timed import MAX_REASON, set_broken, timing_of
from agents.services.watchers import event_name
from agents.triggers.cron import BadTiming
from agents.triggers.looks.base import Look, State
from agents.triggers.schedules import next_due
from tools.redaction import everywhere

LOOK_SECONDS = 90.0
"""How long a look may take."""
LEASE = timedelta(seconds=LOOK_SECONDS + 30)
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 6 * 3600.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """A look that this worker has taken upon itself."""

    watcher_id: UUID
    token: UUID
    workspace_id: int
    kind: str
    target: dict[str, JSON]
    state: State | None


def take_due(limit: int, now: Callable[[], datetime] = database_now) -> tuple[list[Task], float | None]:
    """Take watchers that are due; give them, and the seconds until the next one is.

    Whoever takes one and dies leaves it due again when its lease is over.
    """
    moment = now()
    taken = _take(limit, moment) if limit and Watcher.objects.filter(fires_at__lte=moment).exists() else []
    upcoming = Watcher.objects.filter(fires_at__isnull=False).aggregate(next=Min("fires_at"))["next"]
    return taken, None if upcoming is None else max(0.0, (upcoming - now()).total_seconds())


@transaction.atomic
def _take(limit: int, now: datetime) -> list[Task]:
    due = Watcher.objects.filter(fires_at__lte=now).order_by("fires_at")
    tasks = []
    for watcher in due.select_for_update(skip_locked=True)[:limit]:
        if watcher.looking is not None:
            # Whoever looked has died, perhaps of what he saw: no reason to let the next one do the same at once.
            _fail(watcher, "The worker that looked was gone before it had seen anything.", now)
            continue
        watcher.looking, watcher.fires_at = token, _ = uuid4(), now + LEASE
        watcher.save(update_fields=["looking", "fires_at"])
        tasks.append(Task(watcher.pk, token, watcher.workspace_id, watcher.kind, watcher.target, watcher.state))
    return tasks


def keep_look(task: Task, look: Look, now: Callable[[], datetime] = database_now) -> int:
    """Keep what was seen and emit what has changed, once; gives the number of events.

    Does nothing if somebody else has taken the watcher in the meantime, or it was changed or removed.
    """
    with transaction.atomic():
        watcher = _held(task)
        if watcher is None:
            return 0
        moment = now()
        try:
            with transaction.atomic():
                _emit(watcher, task, look)
        except Exception as error:
            if isinstance(error, DATABASE_ERRORS) and outage_of(error) is not None:
                raise
            log.exception("changes_refused", watcher=str(watcher.pk))
            words = "the database refuses it" if isinstance(error, DatabaseError) else str(error)
            _fail(watcher, f"What has changed can't be told: {words}", moment)
            return 0
        watcher.state, watcher.looked_at = look.state, moment
        watcher.failures, watcher.problem = 0, look.note[:MAX_REASON]
        if look.changes:
            watcher.changed_at = moment
        _set_following(watcher, moment)
        _release(watcher)
    return len(look.changes)


def keep_failure(
    task: Task, reason: str, *, retry_after: float | None = None, now: Callable[[], datetime] = database_now
) -> None:
    """Keep that a look failed: the next comes later and later, and what was seen before still counts."""
    with transaction.atomic():
        watcher = _held(task)
        if watcher is not None:
            _fail(watcher, everywhere.text(reason), now(), retry_after=retry_after)


def give_back(task: Task, now: Callable[[], datetime] = database_now) -> None:
    """Let others look at once: this worker is leaving."""
    Watcher.objects.filter(pk=task.watcher_id, looking=task.token).update(looking=None, fires_at=now())


def _held(task: Task) -> Watcher | None:
    found = Watcher.objects.select_for_update(of=("self",)).filter(pk=task.watcher_id, looking=task.token)
    return found.select_related("workspace").first()


def _emit(watcher: Watcher, task: Task, look: Look) -> None:
    for number, change in enumerate(look.changes, start=1):
        emit_event(
            watcher.workspace,
            event_name(watcher),
            {"watcher": watcher.name, "kind": watcher.kind, **change.data},
            source="watcher",
            # Where a change has a name of its own, it is told once however often it is seen.
            event_id=f"{watcher.pk}:{change.key or f'{task.token}:{number}'}",
            # What stands there was written by others.
            tainted=True,
        )


def _fail(watcher: Watcher, reason: str, now: datetime, *, retry_after: float | None = None) -> None:
    watcher.failures += 1
    watcher.problem, watcher.looked_at = reason[:MAX_REASON], now
    pause = min(FIRST_PAUSE * 2.0 ** min(watcher.failures - 1, 20), LONGEST_PAUSE)
    _set_following(watcher, now, not_before=now + timedelta(seconds=max(pause, retry_after or 0.0)))
    _release(watcher)
    log.info("look_failed", watcher=str(watcher.pk), kind=watcher.kind, failures=watcher.failures)


def _set_following(watcher: Watcher, now: datetime, *, not_before: datetime | None = None) -> None:
    """Say when to look next: looks that were missed are one look."""
    try:
        due = next_due(watcher.pk, timing_of(watcher), now)
    except BadTiming as error:
        set_broken(watcher, str(error))
        return
    if due is None or watcher.paused_at is not None:
        watcher.due_at = watcher.fires_at = None
        return
    watcher.due_at = due.at
    watcher.fires_at = max(due.fires_at, not_before or due.fires_at)


def _release(watcher: Watcher) -> None:
    watcher.looking = None
    fields = ("state", "looking", "looked_at", "changed_at", "failures", "problem", "broken", "due_at", "fires_at")
    watcher.save(update_fields=[*fields, "updated_at"])
