"""Providers of models over the API."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.authentication import TokenManages, TokenReadsOrManages
from agents.api.provider_serializers import (
    NewProvider,
    ProviderForm,
    ProviderOut,
    ProviderPage,
    TrialForm,
    TrialOut,
)
from agents.api.views.base import ApiView
from agents.services import providers as services


class _ProvidersOfTheWorkspace(ApiView):
    """Whoever may read may read providers; administrators change them and try them out."""

    permission_classes = (TokenReadsOrManages,)


class ProvidersView(_ProvidersOfTheWorkspace):
    """The providers of the workspace's own; those of the operator's settings come after them."""

    @extend_schema(operation_id="list_providers", responses=ProviderPage)
    def get(self, request: Request) -> Response:
        """List the providers by name."""
        return Response({"items": ProviderOut(services.list_providers(self.workspace()), many=True).data})

    @extend_schema(operation_id="create_provider", request=NewProvider, responses={201: ProviderOut})
    def post(self, request: Request) -> Response:
        """Make a provider. Workers ask it within a second or two."""
        given = NewProvider.read(request.data)
        name = given.pop("name")
        provider = services.create_provider(self.workspace(), name, services.Wanted(**given), by=self.person())
        address = f"/api/v1/providers/{provider.name}"
        return Response(ProviderOut(provider).data, status=201, headers={"Location": address})


class ProviderView(_ProvidersOfTheWorkspace):
    """One provider."""

    @extend_schema(operation_id="get_provider", responses=ProviderOut)
    def get(self, request: Request, name: str) -> Response:
        """Give a provider."""
        return Response(ProviderOut(services.get_provider(self.workspace(), name)).data)

    @extend_schema(operation_id="change_provider", request=ProviderForm, responses=ProviderOut)
    def put(self, request: Request, name: str) -> Response:
        """Change all of a provider but its name."""
        wanted = services.Wanted(**ProviderForm.read(request.data))
        provider = services.get_provider(self.workspace(), name)
        return Response(ProviderOut(services.change_provider(provider, wanted, by=self.person())).data)

    @extend_schema(operation_id="remove_provider", responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Remove a provider."""
        services.remove_provider(services.get_provider(self.workspace(), name), by=self.person())
        return Response(status=204)


class ProviderTestView(ApiView):
    """Trying a provider out."""

    permission_classes = (TokenManages,)

    @extend_schema(operation_id="test_provider", request=TrialForm, responses=TrialOut)
    def post(self, request: Request, name: str) -> Response:
        """Ask one of its models for a word, as a run would, within half a minute, and say what came back."""
        model = TrialForm.read(request.data)["model"]
        provider = services.get_provider(self.workspace(), name)
        return Response(TrialOut(services.try_provider(provider, model=model, by=self.person())).data)
