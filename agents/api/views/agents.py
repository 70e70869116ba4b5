"""Agents: listed, drafted, published, compared, taken back, put away, carried from one instance to another."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agent_serializers import (
    AgentDraftOut,
    AgentOut,
    AgentPage,
    AgentQuery,
    ChangeOut,
    ChangesOut,
    Comparison,
    DraftForm,
    Import,
    ImportOut,
    NewAgent,
    ProblemOut,
    Publishing,
    RollingBack,
    VersionFull,
    VersionPage,
    show_agent,
    show_draft,
    show_version,
)
from agents.api.authentication import TokenReadsOrManages
from agents.api.pagination import newest
from agents.api.views.base import ApiView
from agents.models import Agent
from agents.services import agent_exchange, drafts, publishing
from agents.services.drafts import Draft

YAML = "application/yaml"
_CURSOR = OpenApiParameter("cursor", OpenApiTypes.STR, description="Where the next page begins; see `next`.")
_LIMIT = OpenApiParameter("limit", OpenApiTypes.INT, description="How many items a page has at most.")
_VERSION = OpenApiParameter(
    "version", OpenApiTypes.STR, description="A version's number, or `draft`; by default the version that runs get."
)


class _AgentsOfTheWorkspace(ApiView):
    """Whoever may read may read agents; administrators change them."""

    permission_classes = (TokenReadsOrManages,)

    def agent(self, name: str) -> Agent:
        """Find an agent of the workspace; another's does not exist."""
        return drafts.get_agent(self.workspace(), name)

    def shown(self, draft: Draft, status: int = 200) -> Response:
        """Answer with a draft and what keeps it from being published."""
        return Response(show_draft(draft, publishing.problems_of_draft(draft)), status=status)


class AgentsView(_AgentsOfTheWorkspace):
    """The agents of the workspace."""

    @extend_schema(operation_id="list_agents", parameters=[AgentQuery, _CURSOR, _LIMIT], responses=AgentPage)
    def get(self, request: Request) -> Response:
        """List the agents, newest first."""
        form = AgentQuery(data=request.query_params)
        form.is_valid(raise_exception=True)
        agents = Agent.objects.filter(
            workspace=self.workspace(), archived_at__isnull=not form.validated_data["archived"]
        )
        page, following = newest(request, agents.select_related("current", "draft"))
        return Response({"items": [show_agent(agent) for agent in page], "next": following})

    @extend_schema(operation_id="create_agent", request=NewAgent, responses={201: AgentDraftOut})
    def post(self, request: Request) -> Response:
        """Make an agent with a draft. It can be run when it is published."""
        draft = drafts.create_agent(self.workspace(), _object(request.data), by=self.person())
        response = self.shown(draft, status=201)
        response.headers["Location"] = f"/api/v1/agents/{draft.agent.name}"
        return response


class AgentView(_AgentsOfTheWorkspace):
    """One agent."""

    @extend_schema(operation_id="get_agent", responses=AgentOut)
    def get(self, request: Request, name: str) -> Response:
        """Give an agent as its current version defines it; as its draft does while nothing is published."""
        return Response(show_agent(self.agent(name)))


class AgentDraftView(_AgentsOfTheWorkspace):
    """What an agent is to become."""

    @extend_schema(operation_id="get_agent_draft", responses=AgentDraftOut)
    def get(self, request: Request, name: str) -> Response:
        """Give the draft, with what keeps it from being published."""
        return self.shown(drafts.draft_of(self.agent(name)))

    @extend_schema(operation_id="save_agent_draft", request=DraftForm, responses=AgentDraftOut)
    def patch(self, request: Request, name: str) -> Response:
        """Change fields of the draft. If somebody has saved since that revision, 409: look again."""
        changes = _object(request.data)
        revision = _revision(changes.pop("revision", None))
        return self.shown(drafts.save_draft(self.agent(name), changes, revision=revision, by=self.person()))

    @extend_schema(operation_id="discard_agent_draft", responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Forget what is not published, whatever its revision."""
        agent = self.agent(name)
        drafts.discard_draft(agent, revision=drafts.draft_of(agent).revision, by=self.person())
        return Response(status=204)


class PublishView(_AgentsOfTheWorkspace):
    """Makes a version of a draft."""

    @extend_schema(operation_id="publish_agent", request=Publishing, responses={201: VersionFull})
    def post(self, request: Request, name: str) -> Response:
        """Publish the draft as the next version, which new runs get. It can't be changed any more."""
        agent, given = self.agent(name), Publishing.read(request.data)
        version = publishing.publish(agent, **given, by=self.person())
        shown = {**show_version(version, agent), "definition": drafts.definition_of(version, agent)}
        address = f"/api/v1/agents/{agent.name}/versions/{version.number}"
        return Response(shown, status=201, headers={"Location": address})


class VersionsView(_AgentsOfTheWorkspace):
    """The versions of an agent."""

    @extend_schema(operation_id="list_agent_versions", parameters=[_CURSOR, _LIMIT], responses=VersionPage)
    def get(self, request: Request, name: str) -> Response:
        """List what was published, newest first."""
        agent = self.agent(name)
        page, following = newest(request, publishing.versions_of(agent))
        return Response({"items": [show_version(version, agent) for version in page], "next": following})


class VersionView(_AgentsOfTheWorkspace):
    """One version."""

    @extend_schema(operation_id="get_agent_version", responses=VersionFull)
    def get(self, request: Request, name: str, number: int) -> Response:
        """Give a version with its definition."""
        agent = self.agent(name)
        version = publishing.version_of(agent, number)
        return Response({**show_version(version, agent), "definition": drafts.definition_of(version, agent)})


class DiffView(_AgentsOfTheWorkspace):
    """What differs between two versions, or a version and the draft."""

    @extend_schema(operation_id="compare_agent", parameters=[Comparison], responses=ChangesOut)
    def get(self, request: Request, name: str) -> Response:
        """Compare two versions, or one with the draft, field by field."""
        form = Comparison(data=request.query_params)
        form.is_valid(raise_exception=True)
        changes = publishing.compare(self.agent(name), form.validated_data["before"], form.validated_data["after"])
        return Response({"changes": ChangeOut(changes, many=True).data})


class RollBackView(_AgentsOfTheWorkspace):
    """Takes an agent back to an earlier version."""

    @extend_schema(operation_id="roll_back_agent", request=RollingBack, responses=AgentOut)
    def post(self, request: Request, name: str) -> Response:
        """Let new runs get an earlier version again. The draft stays as it is."""
        agent, given = self.agent(name), RollingBack.read(request.data)
        publishing.roll_back(agent, number=given["version"], by=self.person())
        return Response(show_agent(self.agent(name)))


class ArchiveView(_AgentsOfTheWorkspace):
    """Puts an agent away."""

    archived = True

    @extend_schema(operation_id="archive_agent", request=None, responses=AgentOut)
    def post(self, request: Request, name: str) -> Response:
        """Let no new run start. Those that have begun go on."""
        agent = self.agent(name)
        return Response(show_agent(publishing.set_archived(agent, archived=self.archived, by=self.person())))


class UnarchiveView(ArchiveView):
    """Brings an agent back."""

    archived = False

    @extend_schema(operation_id="unarchive_agent", request=None, responses=AgentOut)
    def post(self, request: Request, name: str) -> Response:
        """Let runs start again."""
        return super().post(request, name)


class ExportView(_AgentsOfTheWorkspace):
    """Writes an agent as YAML."""

    @extend_schema(
        operation_id="export_agent",
        parameters=[_VERSION],
        responses={(200, YAML): OpenApiResponse(OpenApiTypes.STR, description="The agent as YAML.")},
    )
    def get(self, request: Request, name: str) -> HttpResponse:
        """Give an agent as YAML, to be kept or read in elsewhere."""
        agent = self.agent(name)
        text = agent_exchange.export_agent(agent, request.query_params.get("version", ""))
        headers = {"Content-Disposition": f'attachment; filename="{agent.name}.yaml"'}
        return HttpResponse(text, content_type=f"{YAML}; charset=utf-8", headers=headers)


class ImportView(_AgentsOfTheWorkspace):
    """Reads an agent in."""

    @extend_schema(operation_id="import_agent", request=Import, responses={200: ImportOut, 201: AgentDraftOut})
    def post(self, request: Request) -> Response:
        """Read an agent in as a draft; with `preview`, only tell what would change. Nothing is ever published by it."""
        given = Import.read(request.data)
        if not given["preview"]:
            revision = given.get("revision")
            draft = agent_exchange.import_agent(self.workspace(), given["yaml"], revision=revision, by=self.person())
            return self.shown(draft, status=201)
        coming = agent_exchange.preview_import(self.workspace(), given["yaml"], by=self.person())
        shown = {
            "name": coming.definition.name,
            "is_new": coming.draft is None,
            "revision": coming.draft.revision if coming.draft else None,
            "changes": ChangeOut(coming.changes, many=True).data,
            "problems": ProblemOut(coming.problems, many=True).data,
        }
        return Response(shown)


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise serializers.ValidationError({"non_field_errors": ["An agent is an object with the names of its fields."]})
    return dict(data)


def _revision(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise serializers.ValidationError({"revision": ["Name the revision of the draft that you have seen."]})
    return value
