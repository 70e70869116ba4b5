"""Watchers: the list, one watcher with what it knows and what it has told of, looking now, pausing."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from agents.models import Role
from agents.services import watchers as services
from agents.web.place import Place, act, in_workspace, render, render_part
from agents.web.timed import Filters, times_of, told_by
from agents.web.watched import is_due, known_of


@require_safe
@in_workspace()
def watchers(request: HttpRequest, place: Place) -> HttpResponse:
    """List the watchers."""
    filters = Filters.of(request.GET, "failing")
    rows, following = filters.page(services.list_watchers(place.workspace))
    context = {"watchers": rows, "following": following, "wanted": filters}
    return render(request, place, "web/watchers/list.html", context)


@require_safe
@in_workspace()
def watcher(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Show a watcher: what it knows, how its last look went, what it has told of."""
    found = services.get_watcher(place.workspace, name)
    before = request.GET.get("before", "")
    told, older = told_by(found, before)
    context = {
        "watcher": found,
        "event": services.event_name(found),
        "known": known_of(found),
        "told": told,
        "older": older,
        "is_busy": not before and (is_due(found) or any(one.is_busy for one in told)),
    }
    if request.headers.get("HX-Target") == "watched":
        return render_part(request, place, "web/watchers/watched.html", context)
    return render(request, place, "web/watchers/watcher.html", context | {"times": times_of(found)})


@require_POST
@in_workspace(needs=Role.MEMBER)
def look(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Have a worker look now."""
    found = services.get_watcher(place.workspace, name)
    act(request, "A worker looks in a moment.", lambda: services.look_now(found, by=place.user))
    return redirect("web:watcher", place.slug, name)


@require_POST
@in_workspace(needs=Role.MEMBER)
def pause(request: HttpRequest, place: Place, name: str, paused: bool) -> HttpResponse:
    """Pause a watcher, or let it go on."""
    found = services.get_watcher(place.workspace, name)
    verb = services.pause_watcher if paused else services.resume_watcher
    words = "is paused" if paused else "goes on: its next look tells all that has changed meanwhile"
    act(request, f"“{name}” {words}.", lambda: verb(found, by=place.user))
    return redirect("web:watcher", place.slug, name)


@require_POST
@in_workspace(needs=Role.ADMIN)
def remove(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Remove a watcher with what it knows."""
    found = services.get_watcher(place.workspace, name)
    act(request, f"The watcher “{name}” was removed.", lambda: services.remove_watcher(found, by=place.user))
    return redirect("web:watchers", place.slug)
