"""API tokens: whose they are, for which workspace, and what they may be used for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import connection
from django.db.models import Q
from django.utils import timezone
from knox.crypto import hash_token
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from agents.engine.outages import DATABASE_ERRORS, outage_of
from agents.models import AuthToken, Role, Scope, User, Workspace

SCHEME = "Bearer"
_USE_RECORDED_EVERY = timedelta(minutes=1)
_MAX_LENGTH = 200
_ROLES_THAT_WRITE = frozenset({Role.MEMBER, Role.ADMIN})


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`: one query finds the token with its user, workspace and the user's role there.

    `request.auth` is the token; `request.auth.role` is the role at this moment, so that a person who leaves the
    workspace takes all tokens along.
    """

    def authenticate(self, request: Request) -> tuple[User, AuthToken] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != SCHEME.lower().encode():
            return None
        if len(words) != 2 or len(words[1]) > _MAX_LENGTH or not words[1].isascii():
            raise AuthenticationFailed("The Authorization header reads: Bearer, a space, the token.")
        token = find_token(words[1].decode())
        now = timezone.now()
        if token is None or (token.expiry is not None and token.expiry <= now) or not token.user.is_active:
            raise AuthenticationFailed("The token is not known or no longer valid.")
        if token.role is None:
            raise AuthenticationFailed("The token's owner is no longer a member of the workspace.")
        if token.last_used_at is None or now - token.last_used_at > _USE_RECORDED_EVERY:
            _record_use(token, now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return SCHEME


class TokenAllows(BasePermission):
    """Reading needs the scope `read`; anything else `write`, and a role that may write."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        if not isinstance(token, AuthToken):
            return False
        if request.method in SAFE_METHODS:
            self.message = "The token lacks the scope 'read'."
            return Scope.READ in token.scopes
        if token.role not in _ROLES_THAT_WRITE:
            self.message = "A viewer only reads."
            return False
        self.message = "The token lacks the scope 'write'."
        return Scope.WRITE in token.scopes


class TokenManages(BasePermission):
    """What belongs to the administrators of a workspace: the scope `admin`, and their role at this moment."""

    message = "This needs an administrator's token with the scope 'admin'."

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        return isinstance(token, AuthToken) and token.role == Role.ADMIN and Scope.ADMIN in token.scopes


class TokenReadsOrManages(TokenAllows):
    """What whoever may read may read, and administrators change."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method in SAFE_METHODS:
            return super().has_permission(request, view)
        self.message = TokenManages.message
        return TokenManages().has_permission(request, view)


# Written out, as every request asks it: Django takes four times as long to put it together as the database to answer.
_KNOWN = """
SELECT t.digest, t.user_id, t.expiry, t.workspace_id, t.scopes, t.last_used_at, u.username, u.is_active, w.slug, w.caps,
 m.role
FROM agents_authtoken t JOIN agents_user u ON u.id = t.user_id JOIN agents_workspace w ON w.id = t.workspace_id
LEFT JOIN agents_membership m ON m.user_id = t.user_id AND m.workspace_id = t.workspace_id
WHERE t.digest = %s
"""


def _record_use(token: AuthToken, now: datetime) -> None:
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - _USE_RECORDED_EVERY)
    try:
        AuthToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    except DATABASE_ERRORS as error:
        # A database that takes no changes can still be read.
        if outage_of(error) is None:
            raise


_TOKEN = ("digest", "user_id", "expiry", "workspace_id", "scopes", "last_used_at")
"""What is read of a token, in the order of the model's fields."""


def find_token(token: str) -> AuthToken | None:
    """Find a token by its text, with its user, its workspace and the user's role there.

    Their other fields are read when somebody asks for them.
    """
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, [hash_token(token)])
        row = cursor.fetchone()
    if row is None:
        return None
    digest, user_id, expiry, workspace_id, scopes, used, username, is_active, slug, caps, role = row
    place = connection.alias
    values = (digest, user_id, _moment(expiry), workspace_id, _json(scopes), _moment(used))
    found: AuthToken = AuthToken.from_db(place, _TOKEN, values)
    found.user = User.from_db(place, ("id", "username", "is_active"), (user_id, username, bool(is_active)))
    found.workspace = Workspace.from_db(place, ("id", "slug", "caps"), (workspace_id, slug, _json(caps)))
    found.role = role
    return found


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value


def _moment(value: datetime | None) -> datetime | None:
    """Give a moment as Django gives it; SQLite's are in UTC, and don't say so."""
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value
