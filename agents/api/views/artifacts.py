"""The files of runs: what there is, and their content."""

from __future__ import annotations

from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.artifact_serializers import ArtifactOut, ArtifactPage, ArtifactQuery
from agents.api.pagination import oldest
from agents.api.parsing import JSONRenderer
from agents.api.views.base import ApiView
from agents.api.views.runs import find_run
from agents.services.artifacts import file_of, files_of, open_file
from agents.web.downloads import BINARY, Download

_RANGE = OpenApiParameter(
    "Range", OpenApiTypes.STR, OpenApiParameter.HEADER, description="One part of the bytes, as in `bytes=0-1023`."
)


class AnythingRenderer(JSONRenderer):
    """Stands for the content in content negotiation, whatever is asked for; renders only the problems instead of it."""

    media_type = "*/*"
    format = "content"


class ArtifactsView(ApiView):
    """The files that a run has kept."""

    @extend_schema(operation_id="list_artifacts", parameters=[ArtifactQuery], responses=ArtifactPage)
    def get(self, request: Request, run_id: UUID) -> Response:
        """List the files of a run in the order in which they were kept, also while it is under way."""
        run = find_run(self.workspace(), run_id)
        form = ArtifactQuery(data=request.query_params)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        found = files_of(run, tree=asked["tree"], superseded=asked["superseded"])
        if asked.get("step"):
            found = found.filter(key=asked["step"])
        page, following = oldest(request, found)
        return Response({"items": ArtifactOut(page, many=True).data, "next": following})


class ArtifactView(ApiView):
    """One file."""

    @extend_schema(operation_id="get_artifact", responses=ArtifactOut)
    def get(self, request: Request, run_id: UUID, artifact_id: UUID) -> Response:
        """Tell about a file: its name, its size, and which step kept it."""
        return Response(ArtifactOut(file_of(self.workspace(), run_id, artifact_id)).data)


class ArtifactContentView(ApiView):
    """The content of a file."""

    renderer_classes = (AnythingRenderer,)

    @extend_schema(
        operation_id="get_artifact_content",
        parameters=[_RANGE],
        responses={
            (200, BINARY): OpenApiResponse(OpenApiTypes.BINARY, description="All of it, as an attachment."),
            (206, BINARY): OpenApiResponse(OpenApiTypes.BINARY, description="The part that was asked for."),
            416: OpenApiResponse(description="The part that was asked for lies beyond the end."),
        },
    )
    def get(self, request: Request, run_id: UUID, artifact_id: UUID) -> HttpResponseBase:
        """Give the content of a file, in its own media type; its `ETag` is the SHA-256 of all of it."""
        file = open_file(file_of(self.workspace(), run_id, artifact_id))
        return Download(request._request, file)
