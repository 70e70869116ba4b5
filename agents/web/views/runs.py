"""Runs: the list, kept live by the page's script."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from agents.models import RunStatus
from agents.web import queries
from agents.web.place import Place, in_workspace, render, render_part

PERIODS = (("", "Any time"), ("hour", "Last hour"), ("day", "Last day"), ("week", "Last week"))
STATUSES = (("", "Any status"), ("active", "Not ended"), *[(s.value, s.label.capitalize()) for s in RunStatus])


@require_safe
@in_workspace()
def runs(request: HttpRequest, place: Place) -> HttpResponse:
    """List the workspace's runs, filtered by what the address says."""
    filters = queries.RunFilters.of(request.GET)
    page = queries.runs_page(place.workspace, filters)
    context = {"filters": filters, "page": page, "runs": page.runs}
    if request.headers.get("HX-Target") == "runs-list":
        response = render_part(request, place, "web/runs/list.html", context)
    else:
        more = {
            "statuses": STATUSES,
            "periods": PERIODS,
            "names": queries.names_in_use(place.workspace),
            "has_any": bool(page.runs) or filters.is_narrow or queries.listed(place.workspace).exists(),
        }
        response = render(request, place, "web/runs/page.html", context | more)
    response["Vary"] = "HX-Target, Cookie"
    return response


@require_safe
@in_workspace()
def rows(request: HttpRequest, place: Place) -> HttpResponse:
    """Give the rows of some runs, as far as they fit the filters: what the script puts into the list."""
    filters = queries.RunFilters.of(request.GET)
    found = queries.some_runs(place.workspace, filters, request.GET.get("ids", "").split(","))
    return render_part(request, place, "web/runs/rows.html", {"runs": found})
