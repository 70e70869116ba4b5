"""Watchers: made, changed, paused. Workers look when it is time (watching.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from agents.models import Overlap, TimingKind, User, Watcher, Workspace
from agents.services import timed
from agents.services.errors import Conflict, InvalidInput, NotFound
from agents.services.rights import require_admin, require_writer
from agents.services.standing import drop_subscription, keep_subscription
from agents.triggers.looks.base import BadTarget
from agents.triggers.looks.folders import folders_for
from agents.triggers.looks.looking import read_target

MAX_WATCHERS = 1_000
SHORTEST_INTERVAL = 10
"""Seconds between two looks, at least: what is outside belongs to others."""
WHAT = "change its watchers"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(timed.Wanted):
    """What a watcher is to be. `target` says what is looked at, by its kind (agents/triggers/looks)."""

    kind: str
    target: Mapping[str, Any] = field(default_factory=dict)
    overlap: str = Overlap.QUEUE
    """Several changes of one look are events at the same moment: skipped ones would be lost."""

    def write(self, row: Watcher, now: datetime) -> None:  # type: ignore[override]  # each table has its form
        try:
            target = read_target(self.kind, self.target)
        except BadTarget as error:
            place = "kind" if error.field == "kind" else f"target.{error.field}" if error.field else "target"
            raise InvalidInput(str(error), place) from error
        check_pace(self.timing, self.cron, self.seconds)
        if (row.kind, row.target) != (self.kind, target):
            # Of something else nothing is known: the next look is a first one.
            row.kind, row.target, row.state = self.kind, target, None
            row.failures, row.problem, row.looking = 0, "", None
        timed.Wanted.write(self, row, now)


def check_pace(timing: str, cron: str, seconds: int) -> None:
    """Raise InvalidInput for a timing that is right in itself, and not for looking at what belongs to others."""
    if timing == TimingKind.ONCE:
        raise InvalidInput("A watcher looks again and again: by a cron expression or an interval.", "timing")
    if timing == TimingKind.INTERVAL and seconds < SHORTEST_INTERVAL:
        raise InvalidInput(f"A watcher looks every {SHORTEST_INTERVAL} seconds at most.", "seconds")
    if timing == TimingKind.CRON and len(cron.split()) == 6:
        raise InvalidInput("A watcher's cron expression has five fields: no seconds.", "cron")


def times_of(**timing: Any) -> timed.Times:
    """Give the next looks of a watcher that is not there yet; raises InvalidInput, as making it would."""
    check_pace(timing["timing"], timing["cron"], timing["seconds"])
    return timed.times_of(**timing)


@dataclass(frozen=True, slots=True)
class Places:
    """What the operator lets a workspace look at, by name, besides the web."""

    folders: list[str]
    connections: list[str]


def places_of(workspace: Workspace) -> Places:
    """Give the folders and databases that a workspace may watch."""
    # Its drivers are read in only where databases are asked.
    databases = import_module("tools.builtin.sql_reading").databases_for(workspace.pk)
    return Places(list(folders_for(workspace.pk)), list(databases))


def list_watchers(workspace: Workspace) -> QuerySet[Watcher]:
    """Give the workspace's watchers by name, without what they keep of their last looks."""
    found = Watcher.objects.filter(workspace=workspace).defer("state")
    return found.select_related("workspace", "agent", "created_by", "subscription")


def get_watcher(workspace: Workspace, name: str) -> Watcher:
    """Give one of them; raises NotFound."""
    watcher = list_watchers(workspace).filter(name=name).first()
    if watcher is None:
        raise NotFound(f"This workspace has no watcher named {name[:100]!r}.")
    return watcher


def create_watcher(workspace: Workspace, name: str, wanted: Wanted, *, by: User | None) -> Watcher:
    """Make a watcher. It looks at once, to know what is there; from then on it tells what has changed."""
    require_admin(workspace.pk, by, WHAT)
    timed.check_name(name)
    if list_watchers(workspace).count() >= MAX_WATCHERS:
        raise InvalidInput(f"A workspace has at most {MAX_WATCHERS:,} watchers.", "name")
    watcher = Watcher(workspace=workspace, name=name, created_by=by)
    now = timezone.now()
    wanted.write(watcher, now)
    watcher.fires_at = now
    try:
        with transaction.atomic():
            watcher.save(force_insert=True)
            keep_subscription(watcher, by=by)
    except IntegrityError as error:
        raise InvalidInput(f"There is a watcher named {name!r} already.", "name") from error
    timed.poke()
    log.info("watcher_created", workspace=workspace.slug, watcher=name, by=_name(by))
    return watcher


def change_watcher(watcher: Watcher, wanted: Wanted, *, by: User | None) -> Watcher:
    """Change all of a watcher but its name. With another target it begins anew."""
    require_admin(watcher.workspace_id, by, WHAT)
    with transaction.atomic():
        watcher = _locked(watcher)
        wanted.write(watcher, timezone.now())
        if watcher.state is None and watcher.paused_at is None and watcher.looking is None:
            watcher.fires_at = timezone.now()
        watcher.save()
        keep_subscription(watcher, by=by)
    timed.poke()
    log.info("watcher_changed", workspace=watcher.workspace.slug, watcher=watcher.name, by=_name(by))
    return watcher


def remove_watcher(watcher: Watcher, *, by: User | None) -> None:
    """Remove a watcher and what it knows. Runs that it has started go on."""
    require_admin(watcher.workspace_id, by, WHAT)
    with transaction.atomic():
        drop_subscription(watcher)
        watcher.delete()
    log.info("watcher_removed", workspace=watcher.workspace.slug, watcher=watcher.name, by=_name(by))


def pause_watcher(watcher: Watcher, *, by: User | None) -> Watcher:
    """Let a watcher look no more until it is resumed; raises Conflict."""
    return _set_paused(watcher, by, is_paused=True)


def resume_watcher(watcher: Watcher, *, by: User | None) -> Watcher:
    """Let a paused watcher go on; its next look tells all that has changed meanwhile. Raises Conflict."""
    return _set_paused(watcher, by, is_paused=False)


def look_now(watcher: Watcher, *, by: User | None) -> Watcher:
    """Have a worker look within a second or two, paused or not; raises Conflict while somebody looks."""
    require_writer(watcher.workspace_id, by, "have its watchers look")
    with transaction.atomic():
        watcher = _locked(watcher)
        if watcher.looking is not None:
            raise Conflict(f"{watcher.name} is being looked at already.")
        watcher.fires_at = timezone.now()
        watcher.save(update_fields=["fires_at", "updated_at"])
    timed.poke()
    return watcher


def event_name(watcher: Watcher) -> str:
    """Give the name of a watcher's events."""
    return f"watcher.{watcher.name}"


def _set_paused(watcher: Watcher, by: User | None, *, is_paused: bool) -> Watcher:
    require_writer(watcher.workspace_id, by, "pause and resume its watchers")
    with transaction.atomic():
        watcher = _locked(watcher)
        lease = watcher.fires_at if watcher.looking else None
        watcher = timed.set_paused(watcher, is_paused=is_paused)
        if lease is not None:
            # Somebody is looking, and sees at the end that it is paused; the others watch whether he lives.
            watcher.fires_at = lease
            watcher.save(update_fields=["fires_at"])
    log.info("watcher_paused" if is_paused else "watcher_resumed", watcher=watcher.name, by=_name(by))
    return watcher


def _locked(watcher: Watcher) -> Watcher:
    found = Watcher.objects.select_for_update(of=("self",)).filter(pk=watcher.pk)
    locked = found.select_related("workspace", "agent").first()
    if locked is None:
        raise NotFound(f"The watcher {watcher.name!r} has been removed.")
    return locked


def _name(by: User | None) -> str:
    return by.get_username() if by is not None else "system"
