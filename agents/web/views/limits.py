"""Limits: what they allow and how much is in use; administrators of the workspace set its own."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import Role
from agents.services import limits as services
from agents.services.errors import InvalidInput
from agents.services.run_caps import running_caps, set_caps
from agents.web.cap_forms import CapsForm
from agents.web.forms import LimitForm
from agents.web.place import Place, act, in_workspace, render
from tools.limits.use import use_of
from tools.models import Limit


@require_safe
@in_workspace()
def limits(request: HttpRequest, place: Place) -> HttpResponse:
    """List the limits that count here, with their present use."""
    return _list(request, place, LimitForm())


@require_POST
@in_workspace(needs=Role.ADMIN)
def add(request: HttpRequest, place: Place) -> HttpResponse:
    """Make a limit of the workspace's own."""
    form = LimitForm(request.POST)
    if _take(form, lambda wanted: services.create_limit(place.workspace, wanted, by=place.user)):
        messages.success(request, "From now on this limit holds.")
        return redirect("web:limits", place.slug)
    return _list(request, place, form, status=422)


@require_POST
@in_workspace(needs=Role.ADMIN)
def caps(request: HttpRequest, place: Place) -> HttpResponse:
    """Set what the workspace caps."""
    form = CapsForm(request.POST)
    if form.is_valid():
        try:
            set_caps(place.workspace, tree=form.tree, max_running=form.cleaned_data["max_running"], by=place.user)
        except InvalidInput as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, "From now on these caps hold.")
            return redirect("web:limits", place.slug)
    return _list(request, place, LimitForm(), status=422, caps_form=form)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def change(request: HttpRequest, place: Place, limit_id: int) -> HttpResponse:
    """Change a limit of the workspace's own."""
    limit = services.get_limit(place.workspace, limit_id)
    if limit.workspace_id is None:
        raise PermissionDenied("This limit holds for all workspaces; the operator of the instance changes it.")
    form = LimitForm(request.POST) if request.method == "POST" else LimitForm.of(limit)
    if request.method == "POST" and _take(form, lambda wanted: services.change_limit(limit, wanted, by=place.user)):
        messages.success(request, f"The limit “{limit.name}” is changed.")
        return redirect("web:limits", place.slug)
    status = 422 if request.method == "POST" else 200
    context = {"limit": limit, "form": form, "use": use_of([limit])[limit.pk]}
    response = render(request, place, "web/limits/limit.html", context)
    response.status_code = status
    return response


@require_POST
@in_workspace(needs=Role.ADMIN)
def remove(request: HttpRequest, place: Place, limit_id: int) -> HttpResponse:
    """Remove a limit of the workspace's own."""
    limit = services.get_limit(place.workspace, limit_id)
    act(request, f"The limit “{limit.name}” was removed.", lambda: services.remove_limit(limit, by=place.user))
    return redirect("web:limits", place.slug)


def _list(
    request: HttpRequest, place: Place, form: LimitForm, status: int = 200, caps_form: CapsForm | None = None
) -> HttpResponse:
    listed = list(services.list_limits(place.workspace))
    used = use_of(listed)
    context = {"limits": [(limit, used[limit.pk]) for limit in listed], "form": form}
    context |= {"caps_form": caps_form or CapsForm.of(place.workspace), "running": running_caps(place.workspace)}
    response = render(request, place, "web/limits/page.html", context)
    response.status_code = status
    return response


def _take(form: LimitForm, action: Callable[[services.Wanted], Limit]) -> bool:
    """Carry out what the form says; True when it was done, else the form says what is wrong."""
    if not form.is_valid():
        return False
    try:
        action(services.Wanted(**form.cleaned_data))
    except InvalidInput as error:
        form.add_error(error.field if error.field in form.fields else None, error.message)
        return False
    return True
