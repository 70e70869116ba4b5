"""What a new instance needs before anybody can use it: a workspace, agents, documents, somebody who may log in."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from agents.models import Membership, Role, User, Workspace
from agents.services.access import create_login_link, login_url
from agents.services.agents import ensure_starting_agents
from agents.services.errors import InvalidInput
from agents.services.samples import load_samples

WORKSPACE = "default"
ADMIN = "admin"


@dataclass(frozen=True)
class FirstStart:
    """What was set up. `login_url` is there as long as the administrator has no password."""

    workspace: Workspace
    is_new: bool
    login_url: str | None


@transaction.atomic
def first_start(*, admin_password: str = "") -> FirstStart:
    """Set up what is missing; on an instance that is set up already this only renews the log-in link.

    What people removed stays removed: the samples come once, and the administrator too.
    """
    workspace, is_new = Workspace.objects.get_or_create(slug=WORKSPACE, defaults={"name": "Default"})
    if is_new:
        load_samples(workspace)
    ensure_starting_agents(workspace)
    admin = User.objects.filter(username=ADMIN).first()
    if admin is None and not User.objects.filter(is_superuser=True, is_active=True).exists():
        admin = _create_admin(workspace)
    if admin is None or admin.has_usable_password():
        return FirstStart(workspace, is_new, login_url=None)
    if admin_password:
        _set_password(admin, admin_password)
        return FirstStart(workspace, is_new, login_url=None)
    return FirstStart(workspace, is_new, login_url=login_url(create_login_link(admin)))


def _create_admin(workspace: Workspace) -> User:
    # Without a password Django stores an unusable one: only the link lets its reader in.
    admin = User.objects.create_superuser(ADMIN)
    Membership.objects.create(workspace=workspace, user=admin, role=Role.ADMIN)
    return admin


def _set_password(admin: User, password: str) -> None:
    try:
        validate_password(password, admin)
    except ValidationError as error:
        raise InvalidInput(f"AGENTSITE_ADMIN_PASSWORD: {' '.join(error.messages)}", field="password") from error
    admin.set_password(password)
    admin.save(update_fields=["password"])
