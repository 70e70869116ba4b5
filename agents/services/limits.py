"""Limits: listed with their use, made, changed, removed.

A workspace has limits of its own, which its administrators set; those of the whole instance are the operator's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from agents.models import User, Workspace
from agents.services.errors import InvalidInput, NotAllowed, NotFound
from agents.services.rights import require_admin
from tools.models import Limit, Unit
from tools.models.limit import DAY, MAX_NAME

NAME = re.compile(r"[^\s*]+\*?|\*")
MOST = 1_000_000_000
MAX_NOTE = 200
MAX_LIMITS = 500
WHAT = "change its limits"
"""Limits of one workspace: each process knows all of them."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a limit is to allow: `amount` per `period` seconds in `unit`, `at_once` at the same time, or both."""

    name: str
    amount: int | None = None
    period: float = 1.0
    burst: int = 1
    unit: str = Unit.CALLS
    at_once: int | None = None
    note: str = ""

    def check(self) -> None:
        """Raise InvalidInput for what is no limit."""
        if len(self.name) > MAX_NAME or not NAME.fullmatch(self.name):
            raise InvalidInput(f"A name has no spaces, a * at its end alone, at most {MAX_NAME} characters.", "name")
        if self.amount is None and self.at_once is None:
            raise InvalidInput("Say how many in a period, how many at once, or both.", "amount")
        if self.unit not in Unit.values:
            raise InvalidInput(f"Choose one of: {', '.join(Unit.values)}.", "unit")
        if not 1 <= self.period <= DAY:
            raise InvalidInput(f"A period has 1 to {DAY:,.0f} seconds.", "period")
        for field in ("amount", "burst", "at_once"):
            number = getattr(self, field)
            if number is not None and not 1 <= number <= MOST:
                raise InvalidInput(f"Give a number from 1 to {MOST:,}.", field)
        if len(self.note) > MAX_NOTE:
            raise InvalidInput(f"A note has at most {MAX_NOTE} characters.", "note")


def list_limits(workspace: Workspace) -> QuerySet[Limit]:
    """Give the limits that count in a workspace: its own and those of the instance."""
    mine = Limit.objects.filter(Q(workspace=workspace) | Q(workspace=None))
    return mine.order_by("name", F("workspace").asc(nulls_last=True), "unit", "id")


def get_limit(workspace: Workspace, limit_id: int) -> Limit:
    """Give a limit that counts in this workspace; raises NotFound."""
    limit = list_limits(workspace).filter(pk=limit_id).first()
    if limit is None:
        raise NotFound("This workspace has no such limit.")
    return limit


def create_limit(workspace: Workspace, wanted: Wanted, *, by: User) -> Limit:
    """Make a limit of the workspace's own. Workers heed it within a second or two."""
    require_admin(workspace.pk, by, WHAT)
    wanted.check()
    if Limit.objects.filter(workspace=workspace).count() >= MAX_LIMITS:
        raise InvalidInput(f"A workspace has at most {MAX_LIMITS} limits; one whose name ends in * may do for many.")
    limit = _write(Limit(workspace=workspace), wanted)
    log.info("limit_created", workspace=workspace.slug, limit=limit.name, words=limit.words, by=by.get_username())
    return limit


def change_limit(limit: Limit, wanted: Wanted, *, by: User) -> Limit:
    """Change all of a limit. Who waits for it already comes back when it was told to, and finds what holds then."""
    workspace = _own(limit, by)
    wanted.check()
    limit = _write(limit, wanted)
    log.info("limit_changed", workspace=workspace.slug, limit=limit.name, words=limit.words, by=by.get_username())
    return limit


def remove_limit(limit: Limit, *, by: User) -> None:
    """Remove a limit; what it counted is forgotten."""
    workspace = _own(limit, by)
    limit.delete()
    log.info("limit_removed", workspace=workspace.slug, limit=limit.name, by=by.get_username())


def _write(limit: Limit, wanted: Wanted) -> Limit:
    for field in fields(wanted):
        setattr(limit, field.name, getattr(wanted, field.name))
    limit.updated_at = timezone.now()
    try:
        with transaction.atomic():
            limit.save()
    except IntegrityError as error:
        raise InvalidInput(f"There is a limit of {wanted.unit} named {wanted.name!r} already.", "name") from error
    return limit


def _own(limit: Limit, by: User) -> Workspace:
    """Give the workspace whose limit it is; those of the instance are changed in the administration."""
    if limit.workspace is None:
        raise NotAllowed("This limit holds for all workspaces; the operator of the instance changes it.")
    require_admin(limit.workspace.pk, by, WHAT)
    return limit.workspace
