"""Who gets in: API tokens and one-time log-in links."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from agents.models import AuthToken, LoginLink, Membership, Role, Scope, User, Workspace
from agents.services.errors import InvalidInput, NotAllowed, NotFound
from agents.services.rights import require_admin

DEFAULT_SCOPES = (Scope.READ, Scope.WRITE)
LOGIN_LINK_LIFETIME = timedelta(hours=24)


def create_token(
    *,
    user: User,
    workspace: Workspace,
    scopes: Collection[str] = DEFAULT_SCOPES,
    expires_at: datetime | None = None,
    name: str = "",
) -> tuple[AuthToken, str]:
    """Make an API token for a member; return it with its text, which is not kept and can't be shown again."""
    role = Membership.objects.filter(user=user, workspace=workspace).values_list("role", flat=True).first()
    if role is None:
        raise NotAllowed(f"{user.username} is no member of the workspace {workspace.slug}.")
    _check_scopes(scopes, role)
    now = timezone.now()
    if expires_at is not None and expires_at <= now:
        raise InvalidInput("A token can't have expired before it is made.", field="expires_at")
    token, text = AuthToken.objects.create(
        user=user,
        expiry=None if expires_at is None else expires_at - now,
        workspace=workspace,
        scopes=[scope.value for scope in Scope if scope in scopes],
        name=name,
    )
    return token, text


def revoke_token(token: AuthToken, *, by: User) -> None:
    """End a token. Programs that use it are refused from now on, and their live streams close."""
    require_admin(token.workspace_id, by, "revoke its tokens")
    token.delete()


def _check_scopes(scopes: Collection[str], role: str) -> None:
    unknown = sorted(set(scopes) - set(Scope.values))
    if unknown:
        raise InvalidInput(f"Unknown scope {unknown[0]!r}. There are: {', '.join(Scope.values)}.", field="scopes")
    if not scopes:
        raise InvalidInput("A token needs at least one scope.", field="scopes")
    if Scope.WRITE in scopes and role == Role.VIEWER:
        raise NotAllowed("A viewer's token can only have the scope read.")
    if Scope.ADMIN in scopes and role != Role.ADMIN:
        raise NotAllowed("Only an administrator of the workspace can have a token with the scope admin.")


@transaction.atomic
def create_login_link(user: User) -> str:
    """Make a link that logs this person in once; return its token. Links made before stop working."""
    LoginLink.objects.filter(user=user, used_at=None).delete()
    token = secrets.token_urlsafe(32)
    LoginLink.objects.create(user=user, digest=_digest(token), expires_at=timezone.now() + LOGIN_LINK_LIFETIME)
    return token


def use_login_link(token: str) -> User:
    """Consume a link's token and return whom it logs in. Of two rivals, one gets in."""
    now = timezone.now()
    links = LoginLink.objects.filter(digest=_digest(token))
    won = links.filter(used_at=None, expires_at__gt=now, user__is_active=True).update(used_at=now) == 1
    if not won:
        raise NotFound("This link was used before or has expired. Start agentsite again to get a new one.")
    return links.select_related("user").get().user


def login_url(token: str) -> str:
    """Return the address at which a link's token logs in."""
    base = settings.PUBLIC_URL or f"http://localhost:{settings.PORT}"
    return f"{base}/welcome/{token}"


def _digest(token: str) -> str:
    # The token has 256 random bits: nothing to guess, so a plain digest does.
    return hashlib.sha256(token.encode()).hexdigest()
