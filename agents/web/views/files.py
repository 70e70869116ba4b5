"""The files that runs have kept."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from agents.services.artifacts import file_of, files_of, open_file
from agents.web import queries
from agents.web.downloads import Download
from agents.web.place import Place, in_workspace, render


@require_safe
@in_workspace()
def files(request: HttpRequest, place: Place, run_id: UUID) -> HttpResponse:
    """List the files of all runs of a run's tree, in the order in which they were kept, a page at a time."""
    run = queries.run_of(place.workspace, run_id)
    found = files_of(run, tree=True)
    if after := request.GET.get("after", ""):
        try:
            found = found.filter(pk__gt=after)
        except ValidationError:
            after = ""
    rows = list(found.select_related("run__agent_version__agent").order_by("pk")[: queries.PAGE + 1])
    shown = rows[: queries.PAGE]
    context = {
        "run": run,
        "files": shown,
        "next_after": shown[-1].pk if len(rows) > queries.PAGE else "",
        "is_first": not after,
    }
    return render(request, place, "web/runs/files.html", context)


@require_safe
@in_workspace()
def file(request: HttpRequest, place: Place, run_id: UUID, artifact_id: UUID) -> HttpResponseBase:
    """Give the content of a file, to be saved."""
    return Download(request, open_file(file_of(place.workspace, run_id, artifact_id)))
