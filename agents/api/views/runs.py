"""Runs: started, found, told what to do."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.http import Http404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.pagination import newest
from agents.api.run_serializers import Decision, NewRun, RunOut, RunPage, RunQuery, run_address, show_run
from agents.api.tool_serializers import RunFull, WaitOut
from agents.api.tree_serializers import TreeOut
from agents.api.views.base import ApiView
from agents.models import Agent, Run, Workspace
from agents.services import runs as services
from agents.services.errors import InvalidInput, NotFound
from agents.services.finding import RunFilter, find_runs
from agents.services.publishing import split_pin
from agents.services.trees import read_tree
from agents.services.waits import describe_waits

MAX_KEY = 200
KEY_HEADER = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The same key with the same body gives the run that the first request started; another body, 422."
    " If the first is held up, 409: try again.",
)


class RunsView(ApiView):
    """POST starts a run, GET lists them."""

    @extend_schema(operation_id="start_run", request=NewRun, responses={202: RunOut}, parameters=[KEY_HEADER])
    def post(self, request: Request) -> Response:
        """Accept a run: it is recorded when this answers, and workers do the rest."""
        wanted = NewRun.read(request.data)
        agent, version = None, wanted.get("version")
        if wanted.get("agent"):
            agent, version = _agent_and_version(self.workspace(), wanted["agent"], version)
        run = services.start_run(
            workspace=self.workspace(),
            input=wanted["input"],
            agent=agent,
            version=version,
            workflow=wanted.get("workflow", ""),
            by=self.person(),
            priority=wanted["priority"],
            tags=tuple(wanted["tags"]),
            not_before=wanted["not_before"],
            budget=wanted["budget"],
            idempotency_key=idempotency_key(request),
            source="api",
        )
        return accepted(run)

    @extend_schema(operation_id="list_runs", parameters=[RunQuery], responses=RunPage)
    def get(self, request: Request) -> Response:
        """List runs, newest first."""
        form = RunQuery(data=request.query_params)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        wanted = RunFilter(
            status=tuple(sorted(asked.get("status", ()))),
            agent=asked.get("agent", ""),
            workflow=asked.get("workflow", ""),
            tag=asked.get("tag", ""),
            created_after=asked.get("created_after"),
            created_before=asked.get("created_before"),
            root=asked.get("root"),
            text=asked.get("q", ""),
        )
        page, following = newest(request, find_runs(workspace=self.workspace(), wanted=wanted))
        return Response({"items": RunOut(page, many=True).data, "next": following})


class RunView(ApiView):
    """One run."""

    @extend_schema(operation_id="get_run", responses=RunFull)
    def get(self, request: Request, run_id: UUID) -> Response:
        """Give a run, and what it waits for."""
        run = find_run(self.workspace(), run_id)
        waits = WaitOut(describe_waits(run, timezone.now()), many=True).data
        return Response({**show_run(run), "waits": waits})


class TreeView(ApiView):
    """The tree of runs that a run belongs to."""

    @extend_schema(operation_id="get_run_tree", responses=TreeOut)
    def get(self, request: Request, run_id: UUID) -> Response:
        """Give the runs of the tree, how far they are, and what they have taken of its caps."""
        run = find_run(self.workspace(), run_id)
        return Response(TreeOut(read_tree(run, timezone.now())).data)


class RunVerbView(ApiView):
    """Tells a run what to do. Each address has its verb."""

    def tell(self, run_id: UUID, verb: Callable[..., object]) -> Response:
        """Carry out the verb and answer with the run as it is then."""
        run = find_run(self.workspace(), run_id)
        verb(run, by=self.person())
        return accepted(find_run(self.workspace(), run_id))


class CancelView(RunVerbView):
    """Cancels a run."""

    @extend_schema(operation_id="cancel_run", request=None, responses={202: RunOut})
    def post(self, request: Request, run_id: UUID) -> Response:
        """Stop a run for good: no new step starts, what runs is interrupted."""
        return self.tell(run_id, services.cancel_run)


class PauseView(RunVerbView):
    """Pauses a run."""

    @extend_schema(operation_id="pause_run", request=None, responses={202: RunOut})
    def post(self, request: Request, run_id: UUID) -> Response:
        """Let a run wait until it is resumed."""
        return self.tell(run_id, services.pause_run)


class ResumeView(RunVerbView):
    """Resumes a run."""

    @extend_schema(operation_id="resume_run", request=None, responses={202: RunOut})
    def post(self, request: Request, run_id: UUID) -> Response:
        """Let a paused run go on."""
        return self.tell(run_id, services.resume_run)


class RetryView(RunVerbView):
    """Retries a run."""

    @extend_schema(operation_id="retry_run", request=None, responses={202: RunOut})
    def post(self, request: Request, run_id: UUID) -> Response:
        """Let a failed run go on from the step that failed."""
        return self.tell(run_id, services.retry_run)


class DecisionsView(ApiView):
    """Decisions about steps that wait for one."""

    @extend_schema(operation_id="decide_step", request=Decision, responses={202: RunOut})
    def post(self, request: Request, run_id: UUID) -> Response:
        """Decide what becomes of a step whose outcome is unknown or whose input changed."""
        form = Decision(data=request.data)
        form.is_valid(raise_exception=True)
        run = find_run(self.workspace(), run_id)
        services.decide_step(run, **form.validated_data, by=self.person())
        return accepted(find_run(self.workspace(), run_id))


def find_run(workspace: Workspace, run_id: UUID) -> Run:
    """Find a run of the workspace; another's does not exist."""
    run = Run.objects.of(workspace).select_related("agent_version__agent").filter(pk=run_id).first()
    if run is None:
        raise Http404
    return run


def accepted(run: Run) -> Response:
    """Answer 202 with the run and its address."""
    return Response(show_run(run), status=202, headers={"Location": run_address(run)})


def find_agent(workspace: Workspace, name: str) -> Agent:
    """Find an agent of the workspace that can be started."""
    agent = Agent.objects.filter(workspace=workspace, name=name).select_related("current").first()
    if agent is None:
        raise NotFound(f"This workspace has no agent named {name[:60]!r}.")
    if agent.archived_at is not None:
        raise NotFound(f"The agent {name!r} is put away: it starts no runs.")
    if agent.current is not None:
        # Known already: the answer names both without another query.
        agent.current.agent = agent
    return agent


def _agent_and_version(workspace: Workspace, name: str, version: int | None) -> tuple[Agent, int | None]:
    """Find an agent by `name` or `name@3`; gives the version that was named, if one was."""
    name, pinned = split_pin(name)
    if pinned is not None and version not in (None, pinned):
        raise InvalidInput(f"The agent's name says version {pinned}.", "version")
    return find_agent(workspace, name), version or pinned


def idempotency_key(request: Request) -> str:
    """Read the key under which a request counts once."""
    key: str = request.headers.get("Idempotency-Key", "")
    if len(key) > MAX_KEY or not key.isprintable():
        raise ParseError(f"An Idempotency-Key has at most {MAX_KEY} printable characters.")
    return key
