"""Runs found by what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from django.db import connection
from django.db.models import BooleanField, Q, TextField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast

from agents.models import AgentVersion, Run, Workspace
from agents.models.run import RunQuerySet


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """What is asked for; what is empty does not count."""

    status: tuple[str, ...] = ()
    agent: str = ""
    workflow: str = ""
    tag: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None
    root: UUID | None = None
    text: str = ""


def find_runs(*, workspace: Workspace, wanted: RunFilter) -> RunQuerySet:
    """Find runs of the workspace, newest first, with what a list of them shows."""
    runs = Run.objects.few_of(workspace) if wanted.root else Run.objects.of(workspace)
    runs = runs.select_related("agent_version__agent")
    if wanted.status:
        runs = runs.filter(status__in=wanted.status)
    if wanted.agent:
        # By number: by the agent's name alone no index would find its runs.
        runs = runs.filter(agent_version__in=version_ids(workspace, wanted.agent))
    if wanted.workflow:
        runs = runs.filter(workflow=wanted.workflow)
    if wanted.created_after:
        runs = runs.created_after(wanted.created_after)
    if wanted.created_before:
        runs = runs.created_before(wanted.created_before)
    if wanted.root:
        runs = runs.filter(Q(root=wanted.root) | Q(id=wanted.root))
    if wanted.tag:
        runs = _with_tag(runs, wanted.tag)
    if wanted.text:
        runs = _with_text(runs, wanted.text)
    return runs.with_prices().order_by("-id")


def version_ids(workspace: Workspace, agent: str) -> list[int]:
    """Give the numbers of all versions of an agent; none if there is no such agent."""
    versions = AgentVersion.objects.filter(agent__workspace=workspace, agent__name=agent).order_by()
    return list(versions.values_list("pk", flat=True))


def _with_tag(runs: RunQuerySet, tag: str) -> RunQuerySet:
    if connection.vendor == "postgresql":
        return runs.filter(tags__contains=[tag])
    has_tag = "EXISTS (SELECT 1 FROM json_each(agents_run.tags) WHERE value = %s)"
    return runs.filter(RawSQL(has_tag, [tag], output_field=BooleanField()))  # noqa: S611 (the tag is a parameter)


def _with_text(runs: RunQuerySet, text: str) -> RunQuerySet:
    # Both are kept as JSON text, so the words looked for are written as JSON writes them.
    written = orjson.dumps(text)[1:-1].decode()
    as_text = {name: Cast(name, TextField()) for name in ("input", "output")}
    return runs.alias(input_text=as_text["input"], output_text=as_text["output"]).filter(
        Q(input_text__icontains=written) | Q(output_text__icontains=written)
    )
