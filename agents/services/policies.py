"""What a workspace wants to be asked about."""

from __future__ import annotations

from typing import cast

from agents.models import Workspace
from tools.approving import Policy, WhenToAsk


def approval_policy(workspace_id: int) -> Policy:
    """Give a workspace's policy on tool calls."""
    when, hours = Workspace.objects.values_list("approval_policy", "approval_hours").get(pk=workspace_id)
    return Policy(cast(WhenToAsk, when), hours * 3600.0)
