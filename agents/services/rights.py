"""Who may configure a workspace: its administrators, at this moment."""

from __future__ import annotations

from agents.models import Membership, Role, User
from agents.services.errors import NotAllowed


def require_admin(workspace_id: int, by: User | None, what: str) -> None:
    """Raise NotAllowed unless `by` administers the workspace. None is the operator of the instance."""
    if by is not None and not Membership.objects.filter(user=by, workspace=workspace_id, role=Role.ADMIN).exists():
        raise NotAllowed(f"Only an administrator of the workspace can {what}.")


def require_writer(workspace_id: int, by: User | None, what: str) -> None:
    """Raise NotAllowed unless `by` is a member of the workspace who may write. None is the operator of the instance."""
    roles = (Role.MEMBER, Role.ADMIN)
    if by is not None and not Membership.objects.filter(user=by, workspace=workspace_id, role__in=roles).exists():
        raise NotAllowed(f"Only members of the workspace who may write can {what}.")
