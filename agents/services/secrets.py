"""Secrets of a workspace: set, listed, removed; never given back."""

from __future__ import annotations

import re
from collections.abc import Sequence

import structlog
from django.db.models import QuerySet

from agents.models import User, Workspace
from agents.services.errors import InvalidInput, NotFound
from agents.services.rights import require_admin
from tools.hosts import read_hosts
from tools.models import Secret
from tools.models.secret import NAME
from tools.redaction import SHORTEST
from tools.secrets import store

MAX_VALUE = 10_000
MAX_HOSTS = 50
MAX_NOTE = 200
WHAT = "change its secrets"

log = structlog.get_logger(__name__)


def list_secrets(workspace: Workspace) -> QuerySet[Secret]:
    """Give the workspace's secrets by name, without their values."""
    return Secret.objects.filter(workspace=workspace).defer("token").select_related("created_by").order_by("name")


def get_secret(workspace: Workspace, name: str) -> Secret:
    """Give one secret without its value; raises NotFound."""
    secret = list_secrets(workspace).filter(name=name).first()
    if secret is None:
        raise NotFound(f"This workspace has no secret named {name[:100]!r}.")
    return secret


def set_secret(
    *, workspace: Workspace, name: str, value: str, hosts: Sequence[str] = (), note: str = "", by: User | None
) -> Secret:
    """Set a secret, or replace it with all that belongs to it. `by` None is the operator of the instance."""
    require_admin(workspace.pk, by, WHAT)
    if not re.fullmatch(NAME, name):
        raise InvalidInput("A name begins with a letter and has letters, digits, - and _, at most 60.", "name")
    if not SHORTEST <= len(value) <= MAX_VALUE:
        raise InvalidInput(f"A secret has {SHORTEST} to {MAX_VALUE:,} characters.", "value")
    if value != value.strip():
        raise InvalidInput("The value begins or ends with a space or a line's end, surely by accident.", "value")
    if len(hosts) > MAX_HOSTS:
        raise InvalidInput(f"A secret has at most {MAX_HOSTS} hosts.", "hosts")
    if len(note) > MAX_NOTE:
        raise InvalidInput(f"A note has at most {MAX_NOTE} characters.", "note")
    try:
        read = read_hosts(hosts)
    except ValueError as error:
        raise InvalidInput(f"{error}.", "hosts") from error
    secret = store(
        workspace_id=workspace.pk, name=name, value=value, hosts=read, note=note, by_id=None if by is None else by.pk
    )
    log.info("secret_set", workspace=workspace.slug, secret=name, by=None if by is None else by.get_username())
    return secret


def remove_secret(secret: Secret, *, by: User | None) -> None:
    """Remove a secret. Whoever asks for it from now on is told that there is none."""
    workspace = Workspace.objects.get(pk=secret.workspace_id)
    require_admin(workspace.pk, by, WHAT)
    secret.delete()
    log.info(
        "secret_removed", workspace=workspace.slug, secret=secret.name, by=None if by is None else by.get_username()
    )
