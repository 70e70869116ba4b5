"""Webhooks out: endpoints, what was delivered to them, and sending it once more."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import DeliveryStatus, Role, WebhookDelivery, WebhookEndpoint
from agents.services import webhook_deliveries as deliveries
from agents.services import webhook_endpoints as services
from agents.services.errors import InvalidInput, ServiceError
from agents.web.place import Place, act, in_workspace, render
from agents.web.views.webhook_sources import listed
from agents.web.webhook_forms import EndpointForm, RangeForm, RotationForm

PAGE = 50


@sensitive_post_parameters("secret")
@require_POST
@in_workspace(needs=Role.ADMIN)
def add(request: HttpRequest, place: Place) -> HttpResponse:
    """Make an endpoint; its secret is in this one answer."""
    form = EndpointForm(request.POST, auto_id="endpoint_%s")
    if form.is_valid():
        given = form.cleaned_data
        try:
            endpoint, secret = services.create_endpoint(
                place.workspace, given["name"], form.wanted, secret=given["secret"], by=place.user
            )
        except InvalidInput as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            return _show(request, place, endpoint, secret=secret, status=201)
    return listed(request, place, endpoint_form=form)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace()
def endpoint(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Show an endpoint and its log; administrators change it."""
    found = services.get_endpoint(place.workspace, name)
    if request.method != "POST":
        return _show(request, place, found)
    if not place.can_manage:
        raise PermissionDenied
    form = EndpointForm(request.POST, endpoint=found)
    if form.is_valid():
        try:
            services.change_endpoint(found, form.wanted, by=place.user)
        except InvalidInput as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            messages.success(request, f"The endpoint “{name}” is changed.")
            return redirect("web:webhook-endpoint", place.slug, name)
    return _show(request, place, found, form=form, status=422)


@sensitive_post_parameters("secret")
@require_POST
@in_workspace(needs=Role.ADMIN)
def rotate(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Give an endpoint another secret, shown in this one answer."""
    found = services.get_endpoint(place.workspace, name)
    form = RotationForm(request.POST)
    if form.is_valid():
        try:
            secret = services.rotate_endpoint(found, **form.cleaned_data, by=place.user)
        except InvalidInput as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            return _show(request, place, services.get_endpoint(place.workspace, name), secret=secret)
    return _show(request, place, found, rotation=form, status=422)


@require_POST
@in_workspace(needs=Role.ADMIN)
def switch(request: HttpRequest, place: Place, name: str, on: bool) -> HttpResponse:
    """Switch an endpoint on or off."""
    found = services.get_endpoint(place.workspace, name)
    words = "on: it gets what happens from now on" if on else "off"
    act(request, f"“{name}” is switched {words}.", lambda: services.switch_endpoint(found, on=on, by=place.user))
    return redirect("web:webhook-endpoint", place.slug, name)


@require_POST
@in_workspace(needs=Role.ADMIN)
def test(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Send an endpoint a test event, and show what comes of it."""
    found = services.get_endpoint(place.workspace, name)
    try:
        delivery = services.try_endpoint(found, by=place.user)
    except ServiceError as error:
        messages.error(request, error.message)
        return redirect("web:webhook-endpoint", place.slug, name)
    messages.success(request, "The test is on its way. Load this page anew to see what was answered.")
    return redirect("web:webhook-delivery", place.slug, name, delivery.pk)


@require_POST
@in_workspace(needs=Role.ADMIN)
def replay(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Send a range of time once more."""
    found = services.get_endpoint(place.workspace, name)
    form = RangeForm(request.POST)
    if form.is_valid():
        try:
            count = deliveries.replay_range(found, form.wanted, by=place.user)
        except InvalidInput as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        except ServiceError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, f"{count:,} sent once more." if count else "There was nothing to send.")
            return redirect("web:webhook-endpoint", place.slug, name)
    return _show(request, place, found, range_form=form, status=422)


@require_POST
@in_workspace(needs=Role.ADMIN)
def remove(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Remove an endpoint."""
    found = services.get_endpoint(place.workspace, name)
    act(request, f"The endpoint “{name}” was removed.", lambda: services.remove_endpoint(found, by=place.user))
    return redirect("web:webhooks", place.slug)


@require_safe
@in_workspace()
def delivery(request: HttpRequest, place: Place, name: str, delivery_id: UUID) -> HttpResponse:
    """Show a delivery: what is sent, and each attempt."""
    found = _find(place, name, delivery_id)
    context = {"delivery": found, "attempts": deliveries.attempts_of(found)}
    return render(request, place, "web/webhooks/delivery.html", context)


@require_POST
@in_workspace(needs=Role.ADMIN)
def replay_one(request: HttpRequest, place: Place, name: str, delivery_id: UUID) -> HttpResponse:
    """Send a delivery once more."""
    found = _find(place, name, delivery_id)
    act(request, "It is sent once more.", lambda: deliveries.replay_delivery(found, by=place.user))
    return redirect("web:webhook-delivery", place.slug, name, delivery_id)


def _find(place: Place, name: str, delivery_id: UUID) -> WebhookDelivery:
    found = deliveries.get_delivery(place.workspace, delivery_id)
    if found.endpoint.name != name:
        raise Http404
    return found


def _show(
    request: HttpRequest,
    place: Place,
    found: WebhookEndpoint,
    *,
    form: EndpointForm | None = None,
    rotation: RotationForm | None = None,
    range_form: RangeForm | None = None,
    secret: str = "",
    status: int = 200,
) -> HttpResponse:
    wanted = request.GET.get("status", "")
    rows, older = _page(request, place, found, wanted if wanted in DeliveryStatus.values else "")
    context: dict[str, Any] = {
        "endpoint": found,
        "deliveries": rows,
        "older": older,
        "statuses": DeliveryStatus.values,
        "status": wanted,
        "secret": secret,
    }
    if place.can_manage:
        context |= {
            "form": form or EndpointForm.of(found),
            "rotation": rotation or RotationForm(auto_id="rotation_%s"),
            "range_form": range_form or RangeForm(auto_id="range_%s"),
        }
    response = render(request, place, "web/webhooks/endpoint.html", context)
    response.status_code = status
    return response


def _page(request: HttpRequest, place: Place, found: WebhookEndpoint, status: str) -> tuple[list[WebhookDelivery], str]:
    rows = deliveries.list_deliveries(place.workspace, endpoint=found, status=status)
    if before := request.GET.get("before", ""):
        try:
            rows = rows.filter(pk__lt=UUID(before))
        except (ValidationError, ValueError) as error:
            raise BadRequest("This page of the log is none.") from error
    page = list(rows[: PAGE + 1])
    return page[:PAGE], str(page[PAGE - 1].pk) if len(page) > PAGE else ""
