"""What a workspace caps: what each tree of its runs may take, and how many of its runs are at work at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.db.models import Count

from agents.engine.admission import HOLDING, read_group
from agents.models import Agent, RunPermit, User, Wait, WaitKind, Workspace
from agents.services.budgets import check_caps
from agents.services.errors import InvalidInput
from agents.services.rights import require_admin

MOST_RUNNING = 1_000_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunningCap:
    """A cap on running runs and its use. Without an `agent` it is the workspace's; `key` is `field=value`."""

    agent: str
    key: str
    most: int
    running: int
    waiting: int

    @property
    def words(self) -> str:
        """Say how many run and wait."""
        waiting = f", {self.waiting:,} wait{'s' if self.waiting == 1 else ''}" if self.waiting else ""
        return f"{self.running:,} of {self.most:,} running{waiting}"


def set_caps(workspace: Workspace, *, tree: Mapping[str, Any], max_running: int | None, by: User) -> Workspace:
    """Set all caps of a workspace: those of each tree that starts from now on, and that on running runs.

    Workers heed the latter within a second; runs that are at work go on.
    """
    require_admin(workspace.pk, by, "change its caps")
    told = {name: value for name, value in tree.items() if value is not None}
    check_caps(told, "caps")
    if max_running is not None and not 1 <= max_running <= MOST_RUNNING:
        raise InvalidInput(f"Give a number from 1 to {MOST_RUNNING:,}.", "max_running")
    workspace.caps, workspace.max_running = told, max_running
    workspace.save(update_fields=("caps", "max_running"))
    log.info("caps_set", workspace=workspace.slug, caps=told, max_running=max_running, by=by.get_username())
    return workspace


def running_caps(workspace: Workspace) -> list[RunningCap]:
    """Give the caps on running runs with their use: the workspace's, those of its agents, and keys that are in use."""
    running: Counter[tuple[Any, ...]] = Counter()
    permits = RunPermit.objects.filter(HOLDING, workspace=workspace).order_by()
    for agent, key, count in permits.values_list("agent_id", "key").annotate(Count("pk")):
        running.update({(): count, (agent,): count, (agent, key): count})
    waiting: Counter[tuple[Any, ...]] = Counter()
    most: dict[tuple[Any, ...], int] = {}
    agents = {agent.pk: agent for agent in Agent.objects.filter(workspace=workspace).select_related("current")}
    for agent in agents.values():
        if agent.current is not None and agent.archived_at is None and agent.current.caps.get("max_running"):
            most[agent.pk,] = agent.current.caps["max_running"]
    waits = Wait.objects.filter(kind=WaitKind.PLACE, name__startswith=f"[{workspace.pk},").order_by()
    for name, count in waits.values_list("name").annotate(Count("pk")):
        group = read_group(name)
        waiting.update({(): count, (group.agent,): count, (group.agent, group.key): count})
        for counted, cap in group.caps:
            most.setdefault(counted, cap)
    if workspace.max_running is not None:
        most[()] = workspace.max_running
    return [
        RunningCap(
            agents[counted[0]].name if counted and counted[0] in agents else "",
            counted[1] if len(counted) > 1 else "",
            cap,
            running[counted],
            waiting[counted],
        )
        for counted, cap in sorted(most.items(), key=lambda item: tuple(map(str, item[0])))
    ]
