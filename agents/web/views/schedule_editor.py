"""Making and changing schedules, with their next times before anything is saved."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from agents.models import Role, Schedule
from agents.services import schedules as services
from agents.services import timed
from agents.web.place import Place, in_workspace, render, render_part
from agents.web.timed import zone_names
from agents.web.timed_editing import agents_for, is_preview, preview_of, take
from agents.web.timed_forms import ScheduleForm


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def new(request: HttpRequest, place: Place) -> HttpResponse:
    """Make a schedule."""
    if request.method != "POST":
        return _show(request, place, ScheduleForm(agents=agents_for(place)), None)
    form = ScheduleForm(request.POST, agents=agents_for(place))
    if is_preview(form):
        return _preview(request, place, form, None)

    def create() -> Schedule:
        return services.create_schedule(place.workspace, form.cleaned_data["name"], form.wanted, by=place.user)

    if made := take(form, create):
        messages.success(request, f"The schedule “{made.name}” is made.")
        return redirect("web:schedule", place.slug, made.name)
    return _show(request, place, form, None, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def edit(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Change a schedule."""
    found = services.get_schedule(place.workspace, name)
    if request.method != "POST":
        return _show(request, place, ScheduleForm.of(found, agents_for(place)), found)
    form = ScheduleForm(request.POST, agents=agents_for(place), row=found)
    if is_preview(form):
        return _preview(request, place, form, found)
    if take(form, lambda: services.change_schedule(found, form.wanted, by=place.user)):
        messages.success(request, f"The schedule “{name}” is changed.")
        return redirect("web:schedule", place.slug, name)
    return _show(request, place, form, found, status=422)


def _preview(request: HttpRequest, place: Place, form: ScheduleForm, found: Schedule | None) -> HttpResponse:
    preview = preview_of(form, timed.times_of)
    if request.headers.get("HX-Target") == "preview":
        return render_part(request, place, "web/timed/preview.html", preview)
    return _show(request, place, form, found, preview=preview)


def _show(
    request: HttpRequest,
    place: Place,
    form: ScheduleForm,
    found: Schedule | None,
    *,
    status: int = 200,
    preview: dict[str, Any] | None = None,
) -> HttpResponse:
    context = {"form": form, "schedule": found, "zones": zone_names(), **(preview or {})}
    response = render(request, place, "web/schedules/editor.html", context)
    response.status_code = status
    return response
