"""Subscriptions over the API."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.authentication import TokenReadsOrManages
from agents.api.event_serializers import (
    NewSubscription,
    StateForm,
    SubscriptionForm,
    SubscriptionOut,
    SubscriptionPage,
    TrialOfSubscription,
)
from agents.api.pagination import newest
from agents.api.views.base import ApiView
from agents.services import subscriptions as services


class _SubscriptionsOfTheWorkspace(ApiView):
    """Whoever may read may read subscriptions; administrators change them."""

    permission_classes = (TokenReadsOrManages,)


class SubscriptionsView(_SubscriptionsOfTheWorkspace):
    """The subscriptions of the workspace."""

    @extend_schema(operation_id="list_subscriptions", responses=SubscriptionPage)
    def get(self, request: Request) -> Response:
        """List the subscriptions, newest first."""
        page, following = newest(request, services.list_subscriptions(self.workspace()))
        return Response({"items": SubscriptionOut(page, many=True).data, "next": following})

    @extend_schema(operation_id="create_subscription", request=NewSubscription, responses={201: SubscriptionOut})
    def post(self, request: Request) -> Response:
        """Make a subscription: events that come from now on start runs by it, unless it is paused or a draft."""
        given = NewSubscription.read(request.data)
        name = given.pop("name")
        made = services.create_subscription(self.workspace(), name, services.Wanted(**given), by=self.person())
        address = f"/api/v1/subscriptions/{made.name}"
        return Response(SubscriptionOut(made).data, status=201, headers={"Location": address})


class SubscriptionView(_SubscriptionsOfTheWorkspace):
    """One subscription."""

    @extend_schema(operation_id="get_subscription", responses=SubscriptionOut)
    def get(self, request: Request, name: str) -> Response:
        """Give a subscription."""
        return Response(SubscriptionOut(services.get_subscription(self.workspace(), name)).data)

    @extend_schema(operation_id="change_subscription", request=SubscriptionForm, responses=SubscriptionOut)
    def put(self, request: Request, name: str) -> Response:
        """Change all of a subscription but its name. What it holds back goes on by the new rules."""
        wanted = services.Wanted(**SubscriptionForm.read(request.data))
        found = services.get_subscription(self.workspace(), name)
        return Response(SubscriptionOut(services.change_subscription(found, wanted, by=self.person())).data)

    @extend_schema(operation_id="remove_subscription", responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Remove a subscription; the log of what it started stays."""
        services.remove_subscription(services.get_subscription(self.workspace(), name), by=self.person())
        return Response(status=204)


class StateView(_SubscriptionsOfTheWorkspace):
    """Pausing a subscription, and letting it go on."""

    @extend_schema(operation_id="set_subscription_state", request=StateForm, responses=SubscriptionOut)
    def post(self, request: Request, name: str) -> Response:
        """Let a subscription start runs, or no more."""
        state = StateForm.read(request.data)["state"]
        found = services.get_subscription(self.workspace(), name)
        return Response(SubscriptionOut(services.set_state(found, state, by=self.person())).data)


class WouldMatchView(ApiView):
    """Trying a subscription out."""

    @extend_schema(operation_id="try_subscription", request=SubscriptionForm, responses=TrialOfSubscription)
    def post(self, request: Request) -> Response:
        """Say what a subscription would have matched of the last 1,000 events whose name fits. Nothing is kept."""
        wanted = services.Wanted(**SubscriptionForm.read(request.data))
        return Response(TrialOfSubscription(services.try_subscription(self.workspace(), wanted)).data)
