"""Drafts of agents: what they are to become. They are edited freely, by whoever has seen what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from agents.definitions.definition import FIELDS, Definition, read_definition
from agents.definitions.problems import Malformed
from agents.models import Agent, AgentDraft, AgentVersion, User, Workspace
from agents.services.errors import Conflict, InvalidDefinition, InvalidInput, NotFound
from agents.services.rights import require_admin

RESERVED = ("new", "import")
"""Words that stand in the place of an agent's name in addresses."""
WHAT = "change its agents"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Draft:
    """What an agent is to become. Without unpublished changes it is what the agent is now.

    `revision` is what a save must name; it grows with each.
    """

    agent: Agent
    revision: int
    definition: dict[str, Any]
    is_changed: bool
    edited_by: User | None = None
    edited_at: datetime | None = None


def get_agent(workspace: Workspace, name: str) -> Agent:
    """Give an agent of the workspace, archived or not; raises NotFound."""
    agent = Agent.objects.filter(workspace=workspace, name=name).select_related("current").first()
    if agent is None:
        raise NotFound(f"There is no agent named {name[:60]!r} in this workspace.")
    return agent


def definition_of(version: AgentVersion, agent: Agent) -> dict[str, Any]:
    """Give a version's definition in its JSON form."""
    return {"name": agent.name, **{field: getattr(version, field) for field in FIELDS if field != "name"}}


def draft_of(agent: Agent) -> Draft:
    """Give an agent's draft."""
    row = AgentDraft.objects.filter(agent=agent).select_related("edited_by").first()
    if row is not None and row.definition is not None:
        return Draft(agent, row.revision, row.definition, True, row.edited_by, row.edited_at)
    return Draft(agent, row.revision if row else 0, _published(agent), False)


def create_agent(workspace: Workspace, definition: Mapping[str, Any], *, by: User | None) -> Draft:
    """Make an agent with a draft; it can be run when it is published. Raises InvalidDefinition, Conflict."""
    require_admin(workspace.pk, by, WHAT)
    taken = read(definition)
    if taken.name in RESERVED:
        raise InvalidInput(f"{taken.name!r} can't be an agent's name here; take another word.", "name")
    try:
        with transaction.atomic():
            agent = Agent.objects.create(workspace=workspace, name=taken.name, description=taken.description)
            AgentDraft.objects.create(agent=agent, definition=taken.as_json(), edited_by=by)
    except IntegrityError as error:
        raise Conflict(f"There is an agent named {taken.name!r} already; change its draft.") from error
    log.info("agent_created", workspace=workspace.slug, agent=agent.name, by=_name(by))
    return draft_of(agent)


def save_draft(agent: Agent, changes: Mapping[str, Any], *, revision: int, by: User | None) -> Draft:
    """Save the fields that changed. Raises Conflict if somebody saved since that revision, InvalidDefinition."""
    require_admin(agent.workspace_id, by, WHAT)
    draft = draft_of(agent)
    _check_seen(draft.revision, revision)
    definition = read({**draft.definition, **changes})
    if definition.name != agent.name:
        raise InvalidInput(f"This is {agent.name!r}: runs and other agents know it by that name.", "name")
    data = definition.as_json()
    _keep(agent, None if data == _published(agent) and agent.current_id else data, revision, by)
    if agent.current_id is None:
        Agent.objects.filter(pk=agent.pk).update(description=definition.description)
    return draft_of(agent)


def discard_draft(agent: Agent, *, revision: int, by: User | None) -> Draft:
    """Forget what is not published. An agent that never was can't be without its draft: archive it."""
    require_admin(agent.workspace_id, by, WHAT)
    if agent.current_id is None:
        raise Conflict("Nothing of this agent is published yet: its draft is all there is. Archive the agent instead.")
    _check_seen(draft_of(agent).revision, revision)
    _keep(agent, None, revision, by)
    return draft_of(agent)


def read(definition: Mapping[str, Any]) -> Definition:
    """Read a definition; raises InvalidDefinition."""
    try:
        return read_definition(definition)
    except Malformed as error:
        raise InvalidDefinition(error.problems) from error


def stale(revision: int) -> Conflict:
    """Say that somebody was quicker."""
    return Conflict(
        f"The draft was changed or published since revision {revision}. Look at it as it is now, then save again."
    )


def _published(agent: Agent) -> dict[str, Any]:
    if agent.current is not None:
        return definition_of(agent.current, agent)
    return Definition(name=agent.name, description=agent.description).as_json()


def _check_seen(current: int, seen: int) -> None:
    if current != seen:
        raise stale(seen)


def _keep(agent: Agent, definition: dict[str, Any] | None, revision: int, by: User | None) -> None:
    """Write the draft, if it still has that revision."""
    values = {"definition": definition, "edited_by": by, "edited_at": timezone.now()}
    won = AgentDraft.objects.filter(agent=agent, revision=revision).update(revision=revision + 1, **values) == 1
    if not won and revision == 0:
        try:
            with transaction.atomic():
                AgentDraft.objects.create(agent=agent, revision=1, **values)
            won = True
        except IntegrityError:
            won = False
    if not won:
        raise stale(revision)


def _name(by: User | None) -> str:
    return by.get_username() if by is not None else "operator"
