"""Forks, and what they would do; the same for retry and resume."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.fork_serializers import ForkQuery, NewFork, PreviewOut
from agents.api.parsing import MEBIBYTE
from agents.api.run_serializers import RunOut
from agents.api.views.base import ApiView
from agents.api.views.runs import KEY_HEADER, accepted, find_run, idempotency_key
from agents.services import forks, previews


class ForkView(ApiView):
    """Forks a run."""

    body_limit = 8 * MEBIBYTE

    @extend_schema(operation_id="fork_run", request=NewFork, responses={202: RunOut}, parameters=[KEY_HEADER])
    def post(self, request: Request, run_id: UUID) -> Response:
        """Start a run with copies of what is recorded of this one before a step."""
        run = find_run(self.workspace(), run_id)
        fork = forks.fork_run(run, **_wanted(request), by=self.person(), idempotency_key=idempotency_key(request))
        return accepted(find_run(self.workspace(), fork.pk))


class ForkPreviewView(ApiView):
    """Says what a fork would do."""

    body_limit = 8 * MEBIBYTE

    @extend_schema(operation_id="preview_fork", parameters=[ForkQuery], responses=PreviewOut)
    def get(self, request: Request, run_id: UUID) -> Response:
        """Tell what a fork from a step would reuse and run again."""
        form = ForkQuery(data=request.query_params)
        form.is_valid(raise_exception=True)
        run, asked = find_run(self.workspace(), run_id), form.validated_data
        return _shown(previews.preview_fork(run, step=asked["step"], is_edited=asked["edited"]))

    @extend_schema(operation_id="preview_this_fork", request=NewFork, responses=PreviewOut)
    def post(self, request: Request, run_id: UUID) -> Response:
        """Tell what exactly this fork would reuse and run again; nothing is started."""
        run = find_run(self.workspace(), run_id)
        plan = forks.plan_fork(run, **_wanted(request), by=self.person())
        return _shown(previews.preview_division(run, plan.division, plan.chosen if plan.edit else None))


class RetryPreviewView(ApiView):
    """Says what a retry would do."""

    @extend_schema(operation_id="preview_retry", responses=PreviewOut)
    def get(self, request: Request, run_id: UUID) -> Response:
        """Tell what a retry of a failed or cancelled run would reuse and run again."""
        return _shown(previews.preview_retry(find_run(self.workspace(), run_id)))


class ResumePreviewView(ApiView):
    """Says what resuming would do."""

    @extend_schema(operation_id="preview_resume", responses=PreviewOut)
    def get(self, request: Request, run_id: UUID) -> Response:
        """Tell what a run reuses and runs again when it goes on."""
        return _shown(previews.preview_resume(find_run(self.workspace(), run_id)))


def _wanted(request: Request) -> dict[str, Any]:
    """Read what is to be forked; what was not given is not there."""
    wanted: dict[str, Any] = NewFork.read(request.data)
    return wanted


def _shown(preview: previews.Preview) -> Response:
    return Response(PreviewOut(preview).data)
