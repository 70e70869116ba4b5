"""The inputs of a map, and what has become of each."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.pagination import oldest
from agents.api.result_serializers import ResultOut, ResultPage, ResultQuery
from agents.api.views.base import ApiView
from agents.api.views.runs import find_run
from agents.services.results import mapped, progress_of


class ResultsView(ApiView):
    """The results of a run that works on many inputs."""

    @extend_schema(operation_id="list_results", parameters=[ResultQuery], responses=ResultPage)
    def get(self, request: Request, run_id: UUID) -> Response:
        """List what has become of a map's inputs, also while it is under way; empty for a run without any."""
        run = find_run(self.workspace(), run_id)
        form = ResultQuery(data=request.query_params)
        form.is_valid(raise_exception=True)
        page, following = oldest(request, mapped(run).filter(**form.validated_data))
        progress = progress_of(run)
        told = {"inputs": progress.inputs, "counts": progress.counts}
        return Response({**told, "items": ResultOut(page, many=True).data, "next": following})
