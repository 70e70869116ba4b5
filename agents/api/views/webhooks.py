"""Webhooks in and out over the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api import webhook_serializers as forms
from agents.api.authentication import TokenManages, TokenReadsOrManages
from agents.api.pagination import newest
from agents.api.views.base import ApiView
from agents.models import DeliveryStatus
from agents.services import hooks
from agents.services import webhook_deliveries as deliveries
from agents.services import webhook_endpoints as endpoints
from agents.services import webhook_sources as sources


class _WebhooksOfTheWorkspace(ApiView):
    """Whoever may read may see them; administrators set them."""

    permission_classes = (TokenReadsOrManages,)

    def manages(self) -> dict[str, Any]:
        """Give what the forms show more of to administrators."""
        return {"manages": TokenManages().has_permission(self.request, self)}


class _SetByAdministrators(ApiView):
    permission_classes = (TokenManages,)


class SourcesView(_WebhooksOfTheWorkspace):
    """The sources of webhooks."""

    @extend_schema(operation_id="list_webhook_sources", responses=forms.SourcePage)
    def get(self, request: Request) -> Response:
        """List the sources by name."""
        listed = sources.list_sources(self.workspace())
        return Response({"items": forms.SourceOut(listed, many=True, context=self.manages()).data})

    @extend_schema(operation_id="create_webhook_source", request=forms.NewSource, responses={201: forms.SourceMade})
    def post(self, request: Request) -> Response:
        """Make a source. Its secret is in this one answer."""
        given = forms.NewSource.read(request.data)
        source, secret = sources.create_source(
            self.workspace(),
            given["name"],
            given["scheme"],
            forms.read_wanted(given),
            secret=given["secret"],
            by=self.person(),
        )
        shown = forms.SourceMade(source, context={**self.manages(), "secret": secret}).data
        return Response(shown, status=201, headers={"Location": f"/api/v1/webhooks/sources/{source.name}"})


class SourceView(_WebhooksOfTheWorkspace):
    """One source."""

    @extend_schema(operation_id="get_webhook_source", responses=forms.SourceOut)
    def get(self, request: Request, name: str) -> Response:
        """Give a source."""
        source = sources.get_source(self.workspace(), name)
        return Response(forms.SourceOut(source, context=self.manages()).data)

    @extend_schema(operation_id="change_webhook_source", request=forms.SourceForm, responses=forms.SourceOut)
    def put(self, request: Request, name: str) -> Response:
        """Change all of a source but its name, its scheme, its address and its secret."""
        wanted = forms.read_wanted(forms.SourceForm.read(request.data))
        source = sources.change_source(sources.get_source(self.workspace(), name), wanted, by=self.person())
        return Response(forms.SourceOut(source, context=self.manages()).data)

    @extend_schema(operation_id="remove_webhook_source", responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Remove a source."""
        sources.remove_source(sources.get_source(self.workspace(), name), by=self.person())
        return Response(status=204)


class SourceRotationView(_SetByAdministrators):
    """The secret of a source."""

    @extend_schema(operation_id="rotate_webhook_source", request=forms.RotationForm, responses=forms.SecretMade)
    def post(self, request: Request, name: str) -> Response:
        """Give a source another secret; the present one is good for some hours more."""
        source = sources.get_source(self.workspace(), name)
        given = forms.RotationForm.read(request.data)
        return Response({"secret": sources.rotate_source(source, **given, by=self.person())})


class SourceTestView(_SetByAdministrators):
    """Trying a source out."""

    @extend_schema(operation_id="test_webhook_source", request=forms.TestForm, responses={202: forms.TestOut})
    def post(self, request: Request, name: str) -> Response:
        """Send the source a webhook as its sender would, signed by us."""
        source = sources.get_source(self.workspace(), name)
        given = forms.TestForm.read(request.data)
        event = hooks.send_test(source, data=given["data"], by=self.person())
        return Response({"event": event.pk, "name": event.name}, status=202)


class EndpointsView(_WebhooksOfTheWorkspace):
    """The endpoints."""

    @extend_schema(operation_id="list_webhook_endpoints", responses=forms.EndpointPage)
    def get(self, request: Request) -> Response:
        """List the endpoints by name."""
        return Response({"items": forms.EndpointOut(endpoints.list_endpoints(self.workspace()), many=True).data})

    @extend_schema(
        operation_id="create_webhook_endpoint", request=forms.NewEndpoint, responses={201: forms.EndpointMade}
    )
    def post(self, request: Request) -> Response:
        """Make an endpoint: it gets what happens from now on. Its secret is in this one answer."""
        given = forms.NewEndpoint.read(request.data)
        name, secret = given.pop("name"), given.pop("secret")
        endpoint, text = endpoints.create_endpoint(
            self.workspace(), name, _wanted(given), secret=secret, by=self.person()
        )
        shown = forms.EndpointMade(endpoint, context={"secret": text}).data
        return Response(shown, status=201, headers={"Location": f"/api/v1/webhooks/endpoints/{endpoint.name}"})


class EndpointView(_WebhooksOfTheWorkspace):
    """One endpoint."""

    @extend_schema(operation_id="get_webhook_endpoint", responses=forms.EndpointOut)
    def get(self, request: Request, name: str) -> Response:
        """Give an endpoint."""
        return Response(forms.EndpointOut(endpoints.get_endpoint(self.workspace(), name)).data)

    @extend_schema(operation_id="change_webhook_endpoint", request=forms.EndpointForm, responses=forms.EndpointOut)
    def put(self, request: Request, name: str) -> Response:
        """Change all of an endpoint but its name and its secret."""
        wanted = _wanted(forms.EndpointForm.read(request.data))
        endpoint = endpoints.get_endpoint(self.workspace(), name)
        return Response(forms.EndpointOut(endpoints.change_endpoint(endpoint, wanted, by=self.person())).data)

    @extend_schema(operation_id="remove_webhook_endpoint", responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Remove an endpoint with the log of its deliveries."""
        endpoints.remove_endpoint(endpoints.get_endpoint(self.workspace(), name), by=self.person())
        return Response(status=204)


class EndpointRotationView(_SetByAdministrators):
    """The secret of an endpoint."""

    @extend_schema(operation_id="rotate_webhook_endpoint", request=forms.RotationForm, responses=forms.SecretMade)
    def post(self, request: Request, name: str) -> Response:
        """Sign by another secret; for some hours more by the present one, too."""
        endpoint = endpoints.get_endpoint(self.workspace(), name)
        given = forms.RotationForm.read(request.data)
        return Response({"secret": endpoints.rotate_endpoint(endpoint, **given, by=self.person())})


class EndpointSwitchView(_SetByAdministrators):
    """Whether anything is sent to an endpoint."""

    @extend_schema(operation_id="switch_webhook_endpoint", request=forms.SwitchForm, responses=forms.EndpointOut)
    def post(self, request: Request, name: str) -> Response:
        """Switch an endpoint on or off."""
        endpoint = endpoints.get_endpoint(self.workspace(), name)
        on = forms.SwitchForm.read(request.data)["enabled"]
        return Response(forms.EndpointOut(endpoints.switch_endpoint(endpoint, on=on, by=self.person())).data)


class EndpointTestView(_SetByAdministrators):
    """Trying an endpoint out."""

    @extend_schema(operation_id="test_webhook_endpoint", request=None, responses={202: forms.DeliveryOut})
    def post(self, request: Request, name: str) -> Response:
        """Send the endpoint a test event; the delivery tells what comes of it."""
        endpoint = endpoints.get_endpoint(self.workspace(), name)
        delivery = endpoints.try_endpoint(endpoint, by=self.person())
        return Response(forms.DeliveryOut(delivery).data, status=202)


class EndpointReplayView(_SetByAdministrators):
    """Sending a range of time once more."""

    @extend_schema(operation_id="replay_webhook_endpoint", request=forms.RangeForm, responses={202: forms.ReplayOut})
    def post(self, request: Request, name: str) -> Response:
        """Send once more what an endpoint was sent in a range of time, or has missed."""
        endpoint = endpoints.get_endpoint(self.workspace(), name)
        wanted = deliveries.Range(**forms.RangeForm.read(request.data))
        return Response({"count": deliveries.replay_range(endpoint, wanted, by=self.person())}, status=202)


class DeliveriesView(_WebhooksOfTheWorkspace):
    """The log of deliveries."""

    @extend_schema(
        operation_id="list_webhook_deliveries",
        parameters=[
            OpenApiParameter("endpoint", str, description="Its name."),
            OpenApiParameter("status", str, enum=DeliveryStatus.values),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int),
        ],
        responses=forms.DeliveryPage,
    )
    def get(self, request: Request) -> Response:
        """List deliveries, the newest first."""
        name, status = (request.query_params.get(each, "") for each in ("endpoint", "status"))
        if status and status not in DeliveryStatus.values:
            raise ParseError(f"A status is one of: {', '.join(DeliveryStatus.values)}.")
        endpoint = endpoints.get_endpoint(self.workspace(), name) if name else None
        rows = deliveries.list_deliveries(self.workspace(), endpoint=endpoint, status=status)
        page, following = newest(request, rows)
        return Response({"items": forms.DeliveryOut(page, many=True).data, "next": following})


class DeliveryView(_WebhooksOfTheWorkspace):
    """One delivery."""

    @extend_schema(operation_id="get_webhook_delivery", responses=forms.DeliveryFull)
    def get(self, request: Request, delivery_id: UUID) -> Response:
        """Give a delivery with its body and its attempts."""
        return Response(forms.DeliveryFull(deliveries.get_delivery(self.workspace(), delivery_id)).data)


class DeliveryReplayView(_SetByAdministrators):
    """Sending one once more."""

    @extend_schema(operation_id="replay_webhook_delivery", request=None, responses={202: forms.DeliveryOut})
    def post(self, request: Request, delivery_id: UUID) -> Response:
        """Send a delivery once more, under the id it had."""
        delivery = deliveries.get_delivery(self.workspace(), delivery_id)
        return Response(forms.DeliveryOut(deliveries.replay_delivery(delivery, by=self.person())).data, status=202)


def _wanted(given: dict[str, Any]) -> endpoints.Wanted:
    return endpoints.Wanted(**{**given, "events": tuple(given["events"])})
