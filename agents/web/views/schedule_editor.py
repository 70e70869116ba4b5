"""Making and changing schedules, with their next times before anything is saved."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from agents.models import Role, Schedule
from agents.services import schedules as services
from agents.services import timed
from agents.web.place import Place, in_workspace
from agents.web.timed_editing import Editor, agents_for, is_preview, take
from agents.web.timed_forms import ScheduleForm

EDITOR = Editor("web/schedules/editor.html", "schedule", timed.times_of)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def new(request: HttpRequest, place: Place) -> HttpResponse:
    """Make a schedule."""
    if request.method != "POST":
        return EDITOR.show(request, place, ScheduleForm(agents=agents_for(place)), None)
    form = ScheduleForm(request.POST, agents=agents_for(place))
    if is_preview(form):
        return EDITOR.show_preview(request, place, form, None)

    def create() -> Schedule:
        return services.create_schedule(place.workspace, form.cleaned_data["name"], form.wanted, by=place.user)

    if made := take(form, create):
        messages.success(request, f"The schedule “{made.name}” is made.")
        return redirect("web:schedule", place.slug, made.name)
    return EDITOR.show(request, place, form, None, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def edit(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Change a schedule."""
    found = services.get_schedule(place.workspace, name)
    if request.method != "POST":
        return EDITOR.show(request, place, ScheduleForm.of(found, agents_for(place)), found)
    form = ScheduleForm(request.POST, agents=agents_for(place), row=found)
    if is_preview(form):
        return EDITOR.show_preview(request, place, form, found)
    if take(form, lambda: services.change_schedule(found, form.wanted, by=place.user)):
        messages.success(request, f"The schedule “{name}” is changed.")
        return redirect("web:schedule", place.slug, name)
    return EDITOR.show(request, place, form, found, status=422)
