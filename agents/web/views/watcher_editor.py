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
from agents.web.place import Place, in_workspace, render, render_part
from agents.web.timed import zone_names
from agents.web.timed_editing import agents_for, is_preview, preview_of, take
from agents.web.timed_forms import WatcherForm


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
        return _show(request, place, WatcherForm(kind=kind, **_around(place)), None)
    form = WatcherForm(request.POST, kind=kind, **_around(place))
    if is_preview(form):
        return _preview(request, place, form, None)

    def create() -> Watcher:
        return services.create_watcher(place.workspace, form.cleaned_data["name"], form.wanted, by=place.user)

    if made := take(form, create):
        messages.success(request, f"The watcher “{made.name}” is made. It looks at once, to know what is there.")
        return redirect("web:watcher", place.slug, made.name)
    return _show(request, place, form, None, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def edit(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Change a watcher. It keeps its kind."""
    found = services.get_watcher(place.workspace, name)
    if request.method != "POST":
        return _show(request, place, WatcherForm.of(found, **_around(place)), found)
    form = WatcherForm(request.POST, kind=found.kind, row=found, **_around(place))
    if is_preview(form):
        return _preview(request, place, form, found)
    if take(form, lambda: services.change_watcher(found, form.wanted, by=place.user)):
        messages.success(request, f"The watcher “{name}” is changed.")
        return redirect("web:watcher", place.slug, name)
    return _show(request, place, form, found, status=422)


def _around(place: Place) -> dict[str, Any]:
    """Give what there is to choose from."""
    return {"agents": agents_for(place), "places": services.places_of(place.workspace)}


def _preview(request: HttpRequest, place: Place, form: WatcherForm, found: Watcher | None) -> HttpResponse:
    preview = preview_of(form, services.times_of)
    if request.headers.get("HX-Target") == "preview":
        return render_part(request, place, "web/timed/preview.html", preview)
    return _show(request, place, form, found, preview=preview)


def _show(
    request: HttpRequest,
    place: Place,
    form: WatcherForm,
    found: Watcher | None,
    *,
    status: int = 200,
    preview: dict[str, Any] | None = None,
) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "watcher": found, "zones": zone_names(), **(preview or {})}
    context["kind"] = form.of_kind
    response = render(request, place, "web/watchers/editor.html", context)
    response.status_code = status
    return response
