"""Secrets: set and removed; what was set is never shown."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from agents.models import Role
from agents.services import secrets as services
from agents.services.errors import InvalidInput
from agents.web.forms import SecretForm
from agents.web.place import Place, act, in_workspace, render


@sensitive_post_parameters("value")
@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def secrets(request: HttpRequest, place: Place) -> HttpResponse:
    """List the workspace's secrets by name; set one."""
    form = SecretForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            secret = services.set_secret(workspace=place.workspace, **form.cleaned_data, by=place.user)
        except InvalidInput as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            messages.success(request, f"The secret “{secret.name}” is set.")
            return redirect("web:secrets", place.slug)
    context = {"form": form, "secrets": services.list_secrets(place.workspace)}
    response = render(request, place, "web/secrets.html", context)
    response.status_code = 422 if request.method == "POST" else 200
    return response


@require_POST
@in_workspace(needs=Role.ADMIN)
def remove(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Remove a secret."""
    secret = services.get_secret(place.workspace, name)
    act(request, f"The secret “{name}” was removed.", lambda: services.remove_secret(secret, by=place.user))
    return redirect("web:secrets", place.slug)
