"""Who runs what: from the name of an agent or a workflow to what a run executes."""

from __future__ import annotations

from collections.abc import Sequence

from agents.engine.caps import Caps
from agents.engine.errors import Permanent
from agents.engine.ports import AgentConfig, SubAgent
from agents.engine.records import Target
from agents.engine.registry import known_workflows
from agents.models import Agent, AgentVersion


def agent_config(version_id: int) -> AgentConfig:
    """Give the configuration that a run of this agent version is pinned to."""
    version = AgentVersion.objects.select_related("agent").get(pk=version_id)
    return AgentConfig(
        name=version.agent.name,
        version=version.number,
        instructions=version.instructions,
        model=version.model,
        tools=tuple(version.tools),
        options=version.options,
        fallbacks=tuple(version.fallbacks),
        sampling=version.sampling,
        sub_agents=tuple(version.sub_agents),
        input_schema=version.input_schema,
        output_schema=version.output_schema,
        caps=version.caps,
        retry=version.retry,
        approvals=version.approvals,
        id=version.agent_id,
    )


def resolve_target(workspace_id: int, name: str) -> Target:
    """Give what a run of this agent, or else of this workflow, executes; raises Permanent for an unknown name.

    `agent@3` is version 3 of the agent, whatever is its current one.
    """
    agent_name, pinned, number = name.partition("@")
    agent = Agent.objects.filter(workspace_id=workspace_id, name=agent_name, archived_at=None).first()
    version = agent.current if agent is not None else None
    if version is not None and pinned:
        version = AgentVersion.objects.filter(agent=agent, number=version_number(number) or 0).first()
    if version is not None:
        return Target(version.workflow, version.pk, Caps.of(version.caps).seconds)
    if name in known_workflows():
        return Target(name)
    raise Permanent(f"There is no agent and no workflow named {name!r} here.", "UnknownTarget")


def version_number(text: str) -> int | None:
    """Read the number of a version; None for what can't be one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and int(text) else None


def describe_agents(workspace_id: int, names: Sequence[str]) -> list[SubAgent]:
    """Describe those agents of these names that can be run, in the order of the names."""
    found = Agent.objects.filter(workspace_id=workspace_id, name__in=names, archived_at=None, current__isnull=False)
    known = {agent.name: agent for agent in found.select_related("current")}
    return [_described(known[name]) for name in dict.fromkeys(names) if name in known]


def _described(agent: Agent) -> SubAgent:
    assert agent.current is not None
    return SubAgent(agent.name, agent.description, agent.current.workflow, agent.current.input_schema)
