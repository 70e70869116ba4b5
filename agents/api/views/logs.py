"""What happened in a run: its steps, and its events as pages or as a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
import zstandard
from django.db import connection
from django.http import Http404, HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.pagination import next_address, read_limit, read_number
from agents.api.parsing import JSONRenderer
from agents.api.run_serializers import EventPage, StepOut, StepPage
from agents.api.views.base import ApiView
from agents.api.views.runs import find_run
from agents.live.access import TokenPass
from agents.live.reads import read_log
from agents.live.sse import stream
from agents.models import LargeOutcome, Run, Step

STEPS, EVENTS, MOST = 50, 200, 500
MAX_NUMBER = 2**31 - 1
_AFTER = OpenApiParameter("after", OpenApiTypes.INT, description="Give what comes after this number.")
_LIMIT = OpenApiParameter("limit", OpenApiTypes.INT, description="How many items a page has at most.")
_SUPERSEDED = OpenApiParameter("superseded", OpenApiTypes.BOOL, description="Also give steps that a retry replaced.")
_LAST_ID = OpenApiParameter(
    "Last-Event-ID",
    OpenApiTypes.INT,
    OpenApiParameter.HEADER,
    description="For streams: go on after this event, as browsers ask for when they reconnect.",
)


class EventStreamRenderer(BaseRenderer):
    """Stands for the stream in content negotiation; renders only the problems that come instead of one."""

    media_type = "text/event-stream"
    format = "events"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return b"" if data is None else orjson.dumps(data)


class StepsView(ApiView):
    """The steps of a run."""

    @extend_schema(operation_id="list_steps", parameters=[_AFTER, _LIMIT, _SUPERSEDED], responses=StepPage)
    def get(self, request: Request, run_id: UUID) -> Response:
        """List steps in the order in which they were recorded."""
        run = find_run(self.workspace(), run_id)
        limit = read_limit(request.query_params, STEPS, MOST)
        after = read_number(request.query_params, "after", 0, least=0, most=2**63 - 1)
        are_all = request.query_params.get("superseded") in ("true", "1")
        steps = Step.objects.of(run.pk) if are_all else Step.objects.filter(run=run, superseded=False)
        steps = steps.filter(pk__gt=after).order_by("pk")
        page = list(steps[: limit + 1])
        following = next_address(request, after=str(page[limit - 1].pk)) if len(page) > limit else None
        return Response({"items": StepOut(page[:limit], many=True).data, "next": following})


class StepView(ApiView):
    """One step."""

    @extend_schema(operation_id="get_step", responses=StepOut)
    def get(self, request: Request, run_id: UUID, step_id: int) -> Response:
        """Give a step with its whole outcome, however large."""
        run = find_run(self.workspace(), run_id)
        step = Step.objects.filter(run=run, pk=step_id).first()
        if step is None:
            raise Http404
        if step.large is not None:
            step.outcome = _large_outcome(run, step.large)
        return Response(StepOut(step).data)


class EventsView(ApiView):
    """The log of a run."""

    renderer_classes = (JSONRenderer, EventStreamRenderer)

    @extend_schema(
        operation_id="list_events",
        parameters=[_AFTER, _LIMIT, _LAST_ID],
        responses={
            (200, "application/json"): EventPage,
            (200, "text/event-stream"): OpenApiTypes.STR,
            204: OpenApiResponse(description="To a stream that reconnects: the run has ended, there is no more."),
        },
    )
    def get(self, request: Request, run_id: UUID) -> Response | HttpResponse | StreamingHttpResponse:
        """Read the log of a run by pages, or follow it with `Accept: text/event-stream` until the run has ended."""
        run = find_run(self.workspace(), run_id)
        after = read_number(request.query_params, "after", 0, least=0, most=MAX_NUMBER)
        if request.accepted_renderer.format == EventStreamRenderer.format:
            return self._stream(request, run, after)
        limit = read_limit(request.query_params, EVENTS, MOST)
        page = read_log(run.pk, after, limit)
        more = len(page) == limit and page[-1].number < run.last_event
        following = next_address(request, after=str(page[-1].number)) if more else None
        return Response({"items": [event.to_json() for event in page], "next": following})

    def _stream(self, request: Request, run: Run, after: int) -> HttpResponse | StreamingHttpResponse:
        seen = {"id": request.headers.get("Last-Event-ID", "")}
        after = read_number(seen, "id", after, least=0, most=MAX_NUMBER)
        if seen["id"] and run.has_ended and after >= run.last_event:
            # What tells a browser's EventSource not to come again.
            return HttpResponse(status=204)
        # The stream may last for hours, and reads through the hub: leave the request's own connection to others.
        connection.close_if_unusable_or_obsolete()
        answer = StreamingHttpResponse(
            stream(run.pk, after=after, right=TokenPass(self.token().digest)), content_type="text/event-stream"
        )
        answer["Cache-Control"] = "no-store"
        # Tells a reverse proxy not to collect the stream before passing it on.
        answer["X-Accel-Buffering"] = "no"
        return answer


def _large_outcome(run: Run, large: UUID) -> Any:
    kept = LargeOutcome.objects.filter(pk=large, run=run).first()
    return None if kept is None else orjson.loads(zstandard.ZstdDecompressor().decompress(bytes(kept.data)))
