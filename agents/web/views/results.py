"""What has become of the inputs of a map."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from agents.engine.windows import number_of
from agents.models import Run, RunStatus
from agents.services.results import mapped, progress_of
from agents.web import queries
from agents.web.place import Place, in_workspace, render

STATUSES = (("", "Any status"), *[(status.value, status.label.capitalize()) for status in RunStatus])


@require_safe
@in_workspace()
def results(request: HttpRequest, place: Place, run_id: UUID) -> HttpResponse:
    """Show what has become of each input, in their order, a page at a time."""
    run = queries.run_of(place.workspace, run_id)
    status = request.GET.get("status", "")
    found = mapped(run).filter(status=status) if status in RunStatus.values else mapped(run)
    if after := request.GET.get("after", ""):
        try:
            found = found.filter(pk__gt=after)
        except ValidationError:
            after = ""
    rows = list(found[: queries.PAGE + 1])
    shown = rows[: queries.PAGE]
    context = {
        "run": run,
        "progress": progress_of(run),
        "results": [(number_of(row.parent_key), row, _text(row)) for row in shown],
        "next_after": shown[-1].pk if len(rows) > queries.PAGE else "",
        "is_first": not after,
        "status": status,
        "statuses": STATUSES,
    }
    return render(request, place, "web/runs/results.html", context)


def _text(run: Run) -> object:
    """Give the text of a result, or the value itself if it has none."""
    if run.error:
        return run.error.get("message", "") if isinstance(run.error, dict) else run.error
    return run.output["text"] if isinstance(run.output, dict) and "text" in run.output else run.output
