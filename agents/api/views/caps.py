"""The caps of the workspace."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.authentication import TokenReadsOrManages
from agents.api.cap_serializers import CapsForm, CapsOut
from agents.api.views.base import ApiView
from agents.models import Workspace
from agents.services.run_caps import running_caps, set_caps


class CapsView(ApiView):
    """What the workspace caps."""

    permission_classes = (TokenReadsOrManages,)

    @extend_schema(operation_id="get_caps", responses=CapsOut)
    def get(self, request: Request) -> Response:
        """Give the caps of trees of runs, and those on running runs with their use."""
        return _shown(self.workspace())

    @extend_schema(operation_id="set_caps", request=CapsForm, responses=CapsOut)
    def put(self, request: Request) -> Response:
        """Set all caps; what is absent is not capped any more. Runs that have begun keep the caps of their tree."""
        given = dict(CapsForm.read(request.data))
        most = given.pop("max_running")
        return _shown(set_caps(self.workspace(), tree=given, max_running=most, by=self.person()))


def _shown(workspace: Workspace) -> Response:
    shown = {"caps": workspace.caps, "max_running": workspace.max_running, "running": running_caps(workspace)}
    return Response(CapsOut(shown).data)
