"""Secrets over the API: set and removed, never read."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.authentication import TokenManages
from agents.api.tool_serializers import NewSecret, SecretOut, SecretPage
from agents.api.views.base import ApiView
from agents.services import secrets as services


class SecretsView(ApiView):
    """The secrets of the workspace."""

    @extend_schema(operation_id="list_secrets", responses=SecretPage)
    def get(self, request: Request) -> Response:
        """List the secrets by name. Their values are never given."""
        return Response({"items": SecretOut(services.list_secrets(self.workspace()), many=True).data})


class SecretView(ApiView):
    """One secret."""

    permission_classes = (TokenManages,)
    body_limit = 64 * 1024

    @extend_schema(operation_id="set_secret", request=NewSecret, responses=SecretOut)
    def put(self, request: Request, name: str) -> Response:
        """Set a secret, or replace it. Agents refer to it by its name; its value can't be read again."""
        given = NewSecret.read(request.data)
        secret = services.set_secret(workspace=self.workspace(), name=name, **given, by=self.person())
        return Response(SecretOut(secret).data)

    @extend_schema(operation_id="remove_secret", responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Remove a secret."""
        services.remove_secret(services.get_secret(self.workspace(), name), by=self.person())
        return Response(status=204)
