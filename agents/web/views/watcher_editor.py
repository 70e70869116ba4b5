"""Making and changing watchers: a form for each kind of what can be looked at."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from agents.models import Role, Watcher, WatcherKind
from agents.services import watchers as services
from agents.web.place import Place, in_workspace, render
from agents.web.timed_editing import Editor, agents_for, is_preview, take
from agents.web.timed_forms import WatcherForm

EDITOR = Editor("web/watchers/editor.html", "watcher", services.times_of)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def new(request: HttpRequest, place: Place) -> HttpResponse:
    """Choose a kind, and make a watcher of it."""
    kind = request.POST.get("kind", "") if request.method == "POST" else request.GET.get("kind", "")
    if kind not in WatcherKind.values:
        if request.method == "POST" or kind:
            raise BadRequest("There is no such kind of watchers.")
        return render(request, place, "web/watchers/kinds.html", {"places": services.places_of(place.workspace)})
    if request.method != "POST":
        return EDITOR.show(request, place, WatcherForm(kind=kind, **_around(place)), None)
    form = WatcherForm(request.POST, kind=kind, **_around(place))
    if is_preview(form):
        return EDITOR.show_preview(request, place, form, None)

    def create() -> Watcher:
        return services.create_watcher(place.workspace, form.cleaned_data["name"], form.wanted, by=place.user)

    if made := take(form, create):
        messages.success(request, f"The watcher “{made.name}” is made. It looks at once, to know what is there.")
        return redirect("web:watcher", place.slug, made.name)
    return EDITOR.show(request, place, form, None, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def edit(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Change a watcher. It keeps its kind."""
    found = services.get_watcher(place.workspace, name)
    if request.method != "POST":
        return EDITOR.show(request, place, WatcherForm.of(found, **_around(place)), found)
    form = WatcherForm(request.POST, kind=found.kind, row=found, **_around(place))
    if is_preview(form):
        return EDITOR.show_preview(request, place, form, found)
    if take(form, lambda: services.change_watcher(found, form.wanted, by=place.user)):
        messages.success(request, f"The watcher “{name}” is changed.")
        return redirect("web:watcher", place.slug, name)
    return EDITOR.show(request, place, form, found, status=422)


def _around(place: Place) -> dict[str, Any]:
    """Give what there is to choose from."""
    return {"agents": agents_for(place), "places": services.places_of(place.workspace)}
