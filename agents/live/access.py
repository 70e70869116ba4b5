"""Who may watch what. A connection lives long: its right is checked when it opens and every few seconds after.

Each pass says by what right a connection was opened; `refusal` says why that right no longer holds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from importlib import import_module
from typing import Any, TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.utils import timezone

from agents.engine.outages import DATABASE_ERRORS
from agents.live.reader import read_once
from agents.models import AuthToken, Membership, Run, Scope, User, Workspace

CHECK_SECONDS = 3.0
_REMEMBER_SECONDS = 2.0


class Refusal(IntEnum):
    """Why a connection is closed: the close code of a websocket."""

    NOT_LOGGED_IN = 4401
    NOT_ALLOWED = 4403
    NOT_FOUND = 4404


@dataclass(frozen=True, slots=True)
class SessionPass:
    """A browser's log-in, used in a workspace."""

    session: str
    workspace: int

    def refusal(self) -> Refusal | None:
        user = session_user(self.session)
        if user is None:
            return Refusal.NOT_LOGGED_IN
        if may_watch(user, self.workspace):
            return None
        # The membership of a deleted user goes with the account, perhaps between these two looks.
        return Refusal.NOT_LOGGED_IN if session_user(self.session) is None else Refusal.NOT_ALLOWED


@dataclass(frozen=True, slots=True)
class TokenPass:
    """An API token; it is of one workspace."""

    digest: str

    def refusal(self) -> Refusal | None:
        is_member = Membership.objects.filter(user=OuterRef("user"), workspace=OuterRef("workspace"))
        tokens = AuthToken.objects.filter(digest=self.digest, user__is_active=True).annotate(holds=Exists(is_member))
        token = tokens.first()
        if token is None or (token.expiry is not None and token.expiry <= timezone.now()):
            return Refusal.NOT_LOGGED_IN
        return None if token.holds and Scope.READ in token.scopes else Refusal.NOT_ALLOWED


Pass: TypeAlias = SessionPass | TokenPass


def session_user(key: str) -> User | None:
    """Give the active user whose session this is, if it still is one: not ended, not of an old password."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user(request)
    return user if isinstance(user, User) and user.is_active else None


def may_watch(user: User | AnonymousUser, workspace: int) -> bool:
    """Members watch their workspace; those who may see runs in the admin site watch all."""
    if not isinstance(user, User):
        return False
    if Membership.objects.filter(user=user, workspace_id=workspace).exists():
        return True
    return user.is_staff and user.has_perm("agents.view_run")


def pass_for_run(session: str, run: UUID) -> SessionPass | Refusal:
    """Let a session watch a run. A run that it may not see does not exist for it."""
    user = session_user(session)
    if user is None:
        return Refusal.NOT_LOGGED_IN
    workspace = Run.objects.filter(id=run).values_list("workspace_id", flat=True).first()
    if workspace is None or not may_watch(user, workspace):
        return Refusal.NOT_FOUND
    return SessionPass(session, workspace)


def pass_for_workspace(session: str, slug: str) -> SessionPass | Refusal:
    """Let a session watch the runs of a workspace."""
    user = session_user(session)
    if user is None:
        return Refusal.NOT_LOGGED_IN
    workspace = Workspace.objects.filter(slug=slug).values_list("id", flat=True).first()
    if workspace is None or not may_watch(user, workspace):
        return Refusal.NOT_FOUND
    return SessionPass(session, workspace)


_answers: dict[Pass, tuple[float, asyncio.Future[Refusal | None]]] = {}


async def check(right: Pass) -> Refusal | None:
    """Ask whether a right still holds. Connections opened by the same right share an answer for two seconds."""
    now = time.monotonic()
    loop = asyncio.get_running_loop()
    for other, (asked, _) in list(_answers.items()):
        if asked < now - _REMEMBER_SECONDS:
            del _answers[other]
    known = _answers.get(right)
    if known is None or known[1].get_loop() is not loop:
        known = _answers[right] = (now, asyncio.ensure_future(_ask(right)))
    return await asyncio.shield(known[1])


async def _ask(right: Pass) -> Refusal | None:
    try:
        return await read_once(right.refusal)
    except DATABASE_ERRORS:
        # Nothing can be read now, so nothing can be seen either: ask again next time.
        return None


def is_own_origin(headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a websocket was opened by a page of this site.

    Browsers send their cookies to any port of a host, so the port must be the same too. Programs that name no origin
    are refused: they have the API.
    """
    origin = headers.get(b"origin", b"").decode("latin-1")
    parts = urlsplit(origin)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return False
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    return parts.netloc.lower() == headers.get(b"host", b"").decode("latin-1").lower()


def headers_of(scope: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Give the headers of a connection by name."""
    return dict(scope["headers"])
