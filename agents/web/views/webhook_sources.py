"""Webhooks in: sources, the address and the secret of each, trying them out."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import Role, WebhookScheme, WebhookSource
from agents.services import hooks
from agents.services import webhook_endpoints as endpoints
from agents.services import webhook_sources as services
from agents.services.errors import InvalidInput, ServiceError
from agents.triggers.examples import curl_example
from agents.web.place import Place, act, in_workspace, render
from agents.web.webhook_forms import EndpointForm, RotationForm, SourceForm


@require_safe
@in_workspace()
def webhooks(request: HttpRequest, place: Place) -> HttpResponse:
    """List the sources and the endpoints of the workspace."""
    return listed(request, place)


def listed(
    request: HttpRequest,
    place: Place,
    *,
    source_form: SourceForm | None = None,
    endpoint_form: EndpointForm | None = None,
) -> HttpResponse:
    """Show the list, perhaps with a form that has something wrong in it."""
    context = {
        "sources": services.list_sources(place.workspace),
        "endpoints": endpoints.list_endpoints(place.workspace),
        "source_form": source_form or SourceForm(auto_id="source_%s"),
        "endpoint_form": endpoint_form or EndpointForm(auto_id="endpoint_%s"),
        "source_is_open": source_form is not None,
        "endpoint_is_open": endpoint_form is not None,
    }
    response = render(request, place, "web/webhooks/page.html", context)
    response.status_code = 422 if source_form or endpoint_form else 200
    return response


@sensitive_post_parameters("secret")
@require_POST
@in_workspace(needs=Role.ADMIN)
def add(request: HttpRequest, place: Place) -> HttpResponse:
    """Make a source; its secret is in this one answer."""
    form = SourceForm(request.POST, auto_id="source_%s")
    if form.is_valid():
        given = form.cleaned_data
        try:
            source, secret = services.create_source(
                place.workspace, given["name"], given["scheme"], form.wanted, secret=given["secret"], by=place.user
            )
        except InvalidInput as error:
            form.refuse(error.field, error.message)
        else:
            return _show(request, place, source, secret=secret, status=201)
    return listed(request, place, source_form=form)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace()
def source(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Show a source; administrators change it."""
    found = services.get_source(place.workspace, name)
    if request.method != "POST":
        return _show(request, place, found)
    if not place.can_manage:
        raise PermissionDenied
    form = SourceForm(request.POST, source=found)
    if form.is_valid():
        try:
            services.change_source(found, form.wanted, by=place.user)
        except InvalidInput as error:
            form.refuse(error.field, error.message)
        else:
            messages.success(request, f"The source “{name}” is changed.")
            return redirect("web:webhook-source", place.slug, name)
    return _show(request, place, found, form=form, status=422)


@sensitive_post_parameters("secret")
@require_POST
@in_workspace(needs=Role.ADMIN)
def rotate(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Give a source another secret, shown in this one answer."""
    found = services.get_source(place.workspace, name)
    form = RotationForm(request.POST)
    if form.is_valid():
        try:
            secret = services.rotate_source(found, **form.cleaned_data, by=place.user)
        except InvalidInput as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            found = services.get_source(place.workspace, name)
            return _show(request, place, found, secret=secret)
    return _show(request, place, found, rotation=form, status=422)


@require_POST
@in_workspace(needs=Role.ADMIN)
def test(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Send a source a webhook, signed by us."""
    found = services.get_source(place.workspace, name)
    try:
        event = hooks.send_test(found, by=place.user)
    except ServiceError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"The test was accepted: it is the event “{event.name}”, number {event.pk}.")
    return redirect("web:webhook-source", place.slug, name)


@require_POST
@in_workspace(needs=Role.ADMIN)
def remove(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Remove a source."""
    found = services.get_source(place.workspace, name)
    act(request, f"The source “{name}” was removed.", lambda: services.remove_source(found, by=place.user))
    return redirect("web:webhooks", place.slug)


def _show(
    request: HttpRequest,
    place: Place,
    found: WebhookSource,
    *,
    form: SourceForm | None = None,
    rotation: RotationForm | None = None,
    secret: str = "",
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {"source": found, "events": hooks.latest_events(found), "secret": secret}
    if place.can_manage:
        url, scheme = services.hook_url(found), services.scheme_of(found)
        context |= {
            "url": url,
            "example": curl_example(scheme, url, type_from=found.type_from, id_from=found.id_from),
            "form": form or SourceForm.of(found),
            "rotation": rotation or RotationForm(auto_id="rotation_%s"),
            "has_secret": found.scheme != WebhookScheme.NONE,
        }
    response = render(request, place, "web/webhooks/source.html", context)
    response.status_code = status
    return response
