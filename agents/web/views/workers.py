"""Workers and queue: who works, how much there is to do."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from agents.web import queries
from agents.web.place import Place, in_workspace, render, render_part


@require_safe
@in_workspace()
def workers(request: HttpRequest, place: Place) -> HttpResponse:
    """Show the workers that serve all workspaces, and what this workspace has waiting."""
    context = {
        "queue": queries.queue_state(place.workspace),
        "living": queries.living_workers(),
        "gone": queries.gone_workers(),
    }
    if request.headers.get("HX-Target") == "workers":
        return render_part(request, place, "web/workers_part.html", context)
    return render(request, place, "web/workers.html", context)
