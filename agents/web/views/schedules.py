"""Schedules: the list, one schedule with its next times and what came of the last ones, pausing, firing by hand."""

from __future__ import annotations

from uuid import uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from agents.models import Role
from agents.services import schedules as services
from agents.services.errors import NotAllowed, NotFound, ServiceError
from agents.web.place import Place, act, in_workspace, render, render_part
from agents.web.timed import Filters, times_of, told_by


@require_safe
@in_workspace()
def schedules(request: HttpRequest, place: Place) -> HttpResponse:
    """List the schedules."""
    filters = Filters.of(request.GET)
    rows, following = filters.page(services.list_schedules(place.workspace))
    context = {"schedules": rows, "following": following, "wanted": filters}
    return render(request, place, "web/schedules/list.html", context)


@require_safe
@in_workspace()
def schedule(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Show a schedule: when it fires next, what its last firings led to."""
    found = services.get_schedule(place.workspace, name)
    before = request.GET.get("before", "")
    told, older = told_by(found, before)
    context = {
        "schedule": found,
        "told": told,
        "older": older,
        "is_busy": not before and any(one.is_busy for one in told),
    }
    if request.headers.get("HX-Target") == "told":
        return render_part(request, place, "web/schedules/firings.html", context)
    # Sent with the form: who clicks twice fires once.
    context |= {"event": services.event_name(found), "times": times_of(found), "key": uuid4().hex}
    return render(request, place, "web/schedules/schedule.html", context)


@require_POST
@in_workspace(needs=Role.MEMBER)
def run(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Fire a schedule by hand."""
    found = services.get_schedule(place.workspace, name)
    try:
        event = services.run_schedule_now(found, by=place.user, key=request.POST.get("key", "")[:100])
    except (NotFound, NotAllowed):
        raise
    except ServiceError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"Fired: event {event.pk}. What it starts is listed below in a moment.")
    return redirect("web:schedule", place.slug, name)


@require_POST
@in_workspace(needs=Role.MEMBER)
def pause(request: HttpRequest, place: Place, name: str, paused: bool) -> HttpResponse:
    """Pause a schedule, or let it go on."""
    found = services.get_schedule(place.workspace, name)
    verb = services.pause_schedule if paused else services.resume_schedule
    words = "is paused" if paused else "goes on with its next time"
    act(request, f"“{name}” {words}.", lambda: verb(found, by=place.user))
    return redirect("web:schedule", place.slug, name)


@require_POST
@in_workspace(needs=Role.ADMIN)
def remove(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Remove a schedule."""
    found = services.get_schedule(place.workspace, name)
    act(request, f"The schedule “{name}” was removed.", lambda: services.remove_schedule(found, by=place.user))
    return redirect("web:schedules", place.slug)
