"""Agents as YAML: written out, and read in as drafts. Reading one in executes nothing and overwrites nothing unseen."""

from __future__ import annotations

from dataclasses import dataclass

from agents.definitions.checking import problems_of
from agents.definitions.comparing import Change, changes_between
from agents.definitions.definition import Definition
from agents.definitions.exchange import read_yaml, write_yaml
from agents.definitions.problems import Malformed, Problem
from agents.models import Agent, User, Workspace
from agents.services.drafts import WHAT, Draft, create_agent, definition_of, draft_of, save_draft
from agents.services.errors import InvalidDefinition, NotFound
from agents.services.publishing import definition_named, surroundings
from agents.services.rights import require_admin


@dataclass(frozen=True, slots=True)
class Incoming:
    """What reading an agent in would do. `draft` is what is there now, None if there is no agent of that name.

    `problems` keep it from being published, not from being read in.
    """

    definition: Definition
    draft: Draft | None
    changes: list[Change]
    problems: list[Problem]


def export_agent(agent: Agent, which: str = "") -> str:
    """Write an agent as YAML: a version by its number, the `draft`, or by default what runs get."""
    if which:
        return write_yaml(definition_named(agent, which))
    if agent.current is None:
        raise NotFound(f"{agent.name} has no published version; export its draft.")
    return write_yaml(definition_of(agent.current, agent))


def preview_import(workspace: Workspace, text: str, *, by: User | None) -> Incoming:
    """Tell what reading this in would change; raises InvalidDefinition."""
    require_admin(workspace.pk, by, WHAT)
    definition = _read(text)
    agent = Agent.objects.filter(workspace=workspace, name=definition.name).select_related("current").first()
    draft = draft_of(agent) if agent else None
    changes = changes_between(draft.definition if draft else {"name": definition.name}, definition.as_json())
    return Incoming(definition, draft, changes, problems_of(definition, surroundings(workspace)))


def import_agent(workspace: Workspace, text: str, *, revision: int | None = None, by: User | None) -> Draft:
    """Read an agent in as a draft; nothing is published.

    For an agent that is there already, `revision` names the draft that was looked at. Raises InvalidDefinition, and
    Conflict if the agent is there and no revision was named, or another than its draft has.
    """
    definition = _read(text)
    if revision is None:
        return create_agent(workspace, definition.as_json(), by=by)
    agent = Agent.objects.filter(workspace=workspace, name=definition.name).select_related("current").first()
    if agent is None:
        raise NotFound(f"There is no agent named {definition.name!r} here; read it in without a revision.")
    return save_draft(agent, definition.as_json(), revision=revision, by=by)


def _read(text: str) -> Definition:
    try:
        return read_yaml(text)
    except Malformed as error:
        raise InvalidDefinition(error.problems) from error
