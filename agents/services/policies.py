"""What a workspace wants to be asked about."""

from __future__ import annotations

from typing import cast

import structlog

from agents.models import ApprovalPolicy, User, Workspace
from agents.services.errors import InvalidInput
from agents.services.rights import require_admin
from tools.approving import Policy, WhenToAsk

HOURS = range(1, 24 * 90 + 1)
"""For how long a call may wait for a decision."""

log = structlog.get_logger(__name__)


def approval_policy(workspace_id: int) -> Policy:
    """Give a workspace's policy on tool calls."""
    when, hours = Workspace.objects.values_list("approval_policy", "approval_hours").get(pk=workspace_id)
    return Policy(cast(WhenToAsk, when), hours * 3600.0)


def set_approval_policy(workspace: Workspace, *, policy: str, hours: int, by: User) -> Workspace:
    """Say which calls wait for a person, and for how long; for calls that are not asked about yet."""
    require_admin(workspace.pk, by, "change what waits for a person")
    if policy not in ApprovalPolicy.values:
        raise InvalidInput(f"Choose one of: {', '.join(ApprovalPolicy.values)}.", "policy")
    if hours not in HOURS:
        raise InvalidInput(f"A call waits for {HOURS[0]} to {HOURS[-1]:,} hours.", "hours")
    workspace.approval_policy, workspace.approval_hours = policy, hours
    workspace.save(update_fields=("approval_policy", "approval_hours"))
    log.info("approval_policy_set", workspace=workspace.slug, policy=policy, hours=hours, by=by.get_username())
    return workspace
