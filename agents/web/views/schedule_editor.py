"""Making and changing schedules, with their next times before anything is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from agents.models import Role, Schedule
from agents.services import schedules as services
from agents.services import timed
from agents.services.errors import InvalidInput
from agents.web.place import Place, in_workspace, render, render_part
from agents.web.queries import agents_of
from agents.web.timed import shown_times, zone_names
from agents.web.timed_forms import ScheduleForm


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def new(request: HttpRequest, place: Place) -> HttpResponse:
    """Make a schedule."""
    if request.method != "POST":
        return _show(request, place, ScheduleForm(agents=_agents(place)), None)
    form = ScheduleForm(request.POST, agents=_agents(place))
    if "preview" in request.POST:
        return _preview(request, place, form, None)

    def create() -> Schedule:
        return services.create_schedule(place.workspace, form.cleaned_data["name"], form.wanted, by=place.user)

    if made := _take(form, create):
        messages.success(request, f"The schedule “{made.name}” is made.")
        return redirect("web:schedule", place.slug, made.name)
    return _show(request, place, form, None, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def edit(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Change a schedule."""
    found = services.get_schedule(place.workspace, name)
    if request.method != "POST":
        return _show(request, place, ScheduleForm.of(found, _agents(place)), found)
    form = ScheduleForm(request.POST, agents=_agents(place), row=found)
    if "preview" in request.POST:
        return _preview(request, place, form, found)
    if _take(form, lambda: services.change_schedule(found, form.wanted, by=place.user)):
        messages.success(request, f"The schedule “{name}” is changed.")
        return redirect("web:schedule", place.slug, name)
    return _show(request, place, form, found, status=422)


def _preview(request: HttpRequest, place: Place, form: ScheduleForm, found: Schedule | None) -> HttpResponse:
    """Say when it would fire. Nothing is saved."""
    times: timed.Times | None = None
    if form.keep_timing_errors():
        try:
            times = timed.times_of(**form.when)
        except InvalidInput as error:
            form.refuse(error.field, error.message)
    preview = {
        "words": times.words if times else "",
        "times": shown_times(times.next, form.when["time_zone"]) if times else None,
        "problems": [message for told in form.errors.values() for message in told],
    }
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


def _agents(place: Place) -> list[str]:
    return [agent.name for agent in agents_of(place.workspace)]


def _take(form: ScheduleForm, action: Callable[[], Schedule]) -> Schedule | None:
    """Carry out what the form says; gives None where the form says what is wrong."""
    if not form.is_valid():
        return None
    try:
        return action()
    except InvalidInput as error:
        form.refuse(error.field, error.message)
        return None
