"""The tools of the instance, and the limits that their calls count for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.authentication import TokenReadsOrManages
from agents.api.tool_serializers import LimitForm, LimitFull, LimitOut, LimitPage, LimitUse, ToolOut, ToolPage
from agents.api.views.base import ApiView
from agents.services import limits as services
from tools.limits.use import use_of
from tools.models import Limit
from tools.registry import registry


class ToolsView(ApiView):
    """The tools that agents may be given."""

    @extend_schema(operation_id="list_tools", responses=ToolPage)
    def get(self, request: Request) -> Response:
        """List the tools with all that they declare."""
        return Response({"items": ToolOut(list(registry), many=True).data})


class ToolView(ApiView):
    """One tool."""

    @extend_schema(operation_id="get_tool", responses=ToolOut)
    def get(self, request: Request, tool_name: str) -> Response:
        """Give a tool with all that it declares."""
        if tool_name not in registry:
            raise Http404
        return Response(ToolOut(registry.get(tool_name)).data)


class _LimitsOfTheWorkspace(ApiView):
    """Whoever may read may read limits; administrators change those of the workspace."""

    permission_classes = (TokenReadsOrManages,)


class LimitsView(_LimitsOfTheWorkspace):
    """The limits that count in the workspace: its own and those of the instance."""

    @extend_schema(operation_id="list_limits", responses=LimitPage)
    def get(self, request: Request) -> Response:
        """List the limits with their present use."""
        return Response({"items": _show(services.list_limits(self.workspace()))})

    @extend_schema(operation_id="create_limit", request=LimitForm, responses={201: LimitFull})
    def post(self, request: Request) -> Response:
        """Make a limit of the workspace's own. All workers heed it within a second or two."""
        wanted = services.Wanted(**LimitForm.read(request.data))
        limit = services.create_limit(self.workspace(), wanted, by=self.person())
        return Response(_show([limit])[0], status=201, headers={"Location": f"/api/v1/limits/{limit.pk}"})


class LimitView(_LimitsOfTheWorkspace):
    """One limit."""

    @extend_schema(operation_id="get_limit", responses=LimitFull)
    def get(self, request: Request, limit_id: int) -> Response:
        """Give a limit with its present use."""
        return Response(_show([services.get_limit(self.workspace(), limit_id)])[0])

    @extend_schema(operation_id="change_limit", request=LimitForm, responses=LimitFull)
    def put(self, request: Request, limit_id: int) -> Response:
        """Change all of a limit of the workspace's own."""
        wanted = services.Wanted(**LimitForm.read(request.data))
        limit = services.get_limit(self.workspace(), limit_id)
        return Response(_show([services.change_limit(limit, wanted, by=self.person())])[0])

    @extend_schema(operation_id="remove_limit", responses={204: None})
    def delete(self, request: Request, limit_id: int) -> Response:
        """Remove a limit of the workspace's own."""
        services.remove_limit(services.get_limit(self.workspace(), limit_id), by=self.person())
        return Response(status=204)


def _show(limits: Iterable[Limit]) -> list[Any]:
    listed = list(limits)
    used = use_of(listed)
    return [{**LimitOut(limit).data, "use": LimitUse(used[limit.pk]).data} for limit in listed]
