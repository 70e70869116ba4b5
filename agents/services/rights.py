"""Who may configure a workspace: its administrators, at this moment."""

from __future__ import annotations

from agents.models import Membership, Role, User
from agents.services.errors import NotAllowed


def require_admin(workspace_id: int, by: User | None, what: str) -> None:
    """Raise NotAllowed unless `by` administers the workspace. None is the operator of the instance."""
    if by is not None and not Membership.objects.filter(user=by, workspace=workspace_id, role=Role.ADMIN).exists():
        raise NotAllowed(f"Only an administrator of the workspace can {what}.")
