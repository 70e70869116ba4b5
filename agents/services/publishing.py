"""From drafts to versions: published, compared, taken back to, put away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from agents.definitions.checking import Surroundings, problems_of
from agents.definitions.comparing import Change, changes_between
from agents.definitions.definition import FIELDS
from agents.definitions.problems import Problem
from agents.engine.directory import version_number
from agents.engine.registry import known_workflows
from agents.models import Agent, AgentDraft, AgentVersion, User, Workspace
from agents.services.drafts import WHAT, Draft, definition_of, draft_of, read, stale
from agents.services.errors import Conflict, InvalidDefinition, InvalidInput, NotFound
from agents.services.rights import require_admin
from agents.workflows.options import validate_options
from tools.registry import registry

MAX_NOTE = 200
DRAFT = "draft"

log = structlog.get_logger(__name__)


def surroundings(workspace: Workspace) -> Surroundings:
    """Give what the workspace's agents may name."""
    published = Agent.objects.filter(workspace=workspace, archived_at=None, current__isnull=False)
    return Surroundings(
        tools=[tool.name for tool in registry],
        workflows=known_workflows(),
        agents={name: tuple(below) for name, below in published.values_list("name", "current__sub_agents")},
        check_options=_option_problems,
    )


def lacking_tools(workspace: Workspace, definition: Mapping[str, Any]) -> dict[str, list[str]]:
    """Give the tools that sub-agents have as published and may not use below this agent, as it has them not."""
    named = Agent.objects.filter(workspace=workspace, name__in=definition["sub_agents"], current__isnull=False)
    pairs = named.order_by("name").values_list("name", "current__tools")
    lacking = {name: sorted(set(tools) - set(definition["tools"])) for name, tools in pairs}
    return {name: tools for name, tools in lacking.items() if tools}


def _option_problems(workflow: str, options: Mapping[str, Any], sub_agents: Sequence[str]) -> list[Problem]:
    faults = validate_options(workflow, options, sub_agents)
    return [Problem(f"options.{fault.field}" if fault.field else "options", fault.message) for fault in faults]


def problems_of_draft(draft: Draft) -> list[Problem]:
    """Say what keeps a draft from being published; nothing if it can be."""
    return problems_of(read(draft.definition), surroundings(draft.agent.workspace))


def publish(agent: Agent, *, revision: int, note: str = "", by: User | None) -> AgentVersion:
    """Make a version of the draft, which runs get from now on; those that have begun go on with theirs.

    Raises Conflict if somebody saved since that revision or nothing has changed, InvalidDefinition if it can't be.
    """
    require_admin(agent.workspace_id, by, WHAT)
    if len(note) > MAX_NOTE:
        raise InvalidInput(f"A note has at most {MAX_NOTE} characters.", "note")
    with transaction.atomic():
        _take_draft(agent, revision)
        draft = draft_of(agent)
        if not draft.is_changed:
            raise Conflict("There is nothing to publish: the draft is what the agent is already.")
        if problems := problems_of_draft(draft):
            raise InvalidDefinition(problems)
        version = AgentVersion.objects.create(
            agent=agent,
            number=(agent.versions.aggregate(last=Max("number"))["last"] or 0) + 1,
            note=note.strip(),
            created_by=by,
            **{field: draft.definition[field] for field in FIELDS if field != "name"},
        )
        AgentDraft.objects.filter(agent=agent).update(definition=None)
        _set_current(agent, version)
    log.info("agent_published", workspace=agent.workspace.slug, agent=str(version), by=_name(by))
    return version


def roll_back(agent: Agent, *, number: int, by: User | None) -> AgentVersion:
    """Let runs get an earlier version again, under its own number. The draft stays as it is.

    Raises NotFound for a number there is not, InvalidDefinition if what the version names is no longer there.
    """
    require_admin(agent.workspace_id, by, WHAT)
    version = version_of(agent, number)
    if version.pk == agent.current_id:
        raise Conflict(f"{version} is what runs get already.")
    if problems := problems_of(read(definition_of(version, agent)), surroundings(agent.workspace)):
        raise InvalidDefinition(problems)
    with transaction.atomic():
        _set_current(agent, version)
    log.info("agent_rolled_back", workspace=agent.workspace.slug, agent=str(version), by=_name(by))
    return version


def set_archived(agent: Agent, *, archived: bool, by: User | None) -> Agent:
    """Put an agent away, or bring it back. Runs that have begun go on; no new one starts while it is away."""
    require_admin(agent.workspace_id, by, WHAT)
    agent.archived_at = (agent.archived_at or timezone.now()) if archived else None
    agent.save(update_fields=["archived_at"])
    log.info("agent_archived" if archived else "agent_unarchived", agent=agent.name, by=_name(by))
    return agent


def versions_of(agent: Agent) -> QuerySet[AgentVersion]:
    """Give an agent's versions, the newest first."""
    return agent.versions.select_related("created_by").order_by("-number")


def version_of(agent: Agent, number: int) -> AgentVersion:
    """Give a version by its number; raises NotFound."""
    version = AgentVersion.objects.filter(agent=agent, number=number).first() if 0 < number < 2**31 else None
    if version is None:
        raise NotFound(f"{agent.name} has no version {number}.")
    version.agent = agent
    return version


def split_pin(name: str) -> tuple[str, int | None]:
    """Take `name@3` apart; raises InvalidInput if what stands behind the @ is no version's number."""
    agent, pinned, number = name.partition("@")
    if not pinned:
        return agent, None
    version = version_number(number)
    if version is None:
        raise InvalidInput("A version is named by its number, as in researcher@3.", "agent")
    return agent, version


def compare(agent: Agent, before: str, after: str) -> list[Change]:
    """Give what differs between two versions, named by their numbers or `draft`."""
    return changes_between(definition_named(agent, before, "from"), definition_named(agent, after, "to"))


def definition_named(agent: Agent, name: str, field: str = "version") -> dict[str, object]:
    """Give a version's definition by its number, or the draft's; raises NotFound, InvalidInput naming the field."""
    if name == DRAFT:
        return draft_of(agent).definition
    number = version_number(name)
    if number is None:
        raise InvalidInput("Name a version by its number, or say draft.", field)
    return definition_of(version_of(agent, number), agent)


def _take_draft(agent: Agent, revision: int) -> None:
    """Let nobody else publish or save this revision; of two that try, one goes on."""
    if AgentDraft.objects.filter(agent=agent, revision=revision).update(revision=revision + 1) != 1:
        if revision == draft_of(agent).revision:
            raise Conflict("There is nothing to publish: the draft is what the agent is already.")
        raise stale(revision)


def _set_current(agent: Agent, version: AgentVersion) -> None:
    agent.current, agent.description = version, version.description
    agent.save(update_fields=["current", "description"])


def _name(by: User | None) -> str:
    return by.get_username() if by is not None else "operator"
