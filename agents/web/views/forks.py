"""Forking a run, with what that means said first; the same for retry and resume; and two runs side by side."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from agents.models import Role, Run, Step
from agents.services import forks, previews
from agents.services.errors import Conflict, NotFound, ServiceError
from agents.services.outcomes import EDITABLE, outcome_of
from agents.web import comparing, queries
from agents.web.forms import ForkForm
from agents.web.place import Place, in_workspace, render

_OTHER = {"text": "json", "json": "text"}
_TEXTS = ("goal", "text")
"""Names under which an input, or an outcome, has the text that people edit."""


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.MEMBER)
def fork(request: HttpRequest, place: Place, run_id: UUID) -> HttpResponse:
    """Show what a fork would reuse and run again, with an editor if something is to be edited; POST makes it."""
    run = queries.run_of(place.workspace, run_id)
    form = ForkForm(request.POST if request.method == "POST" else request.GET)
    if not form.is_valid():
        raise Http404
    asked = form.cleaned_data
    step = queries.step_of(run, asked["step"]) if asked["step"] else None
    if (asked["step"] and step is None) or (asked["edit"] == "outcome" and not _is_editable(step)):
        raise Http404
    if request.method != "POST":
        return _page(request, place, run, step, asked)
    try:
        made = forks.fork_run(run, **_wanted(asked), by=place.user, idempotency_key=asked["key"])
    except NotFound:
        raise
    except ServiceError as error:
        messages.error(request, error.message)
        return _page(request, place, run, step, asked, status=422)
    return redirect("web:run", place.slug, made.pk)


def _is_editable(step: Step | None) -> bool:
    return step is not None and step.kind in EDITABLE


def _wanted(asked: dict[str, Any]) -> dict[str, Any]:
    """Give what the form asks the service for; raises what the service raises for a text that is no JSON."""
    wanted: dict[str, Any] = {"step": asked["step"], "version": asked["version"]}
    if asked["edit"]:
        wanted[asked["edit"]] = asked["written"] if asked["form"] == "text" else read_json(asked["written"])
    return wanted


def read_json(text: str) -> Any:
    """Read what somebody wrote as JSON; raises ServiceError with the place of the mistake."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        # Also a number of more digits than Python reads.
        raise ServiceError(f"This is not JSON: {error}.") from error


def _page(
    request: HttpRequest, place: Place, run: Run, step: Step | None, asked: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    edit = asked["edit"]
    value = (outcome_of(step) if edit == "outcome" and step is not None else run.input) if edit else None
    as_text = _as_text(value)
    form = asked["form"] or ("json" if as_text is None else "text")
    shown = as_text or "" if form == "text" else json.dumps(value, indent=2, ensure_ascii=False)
    version = run.agent_version
    context = {
        "run": run,
        "step": step,
        "edit": edit,
        "form": form,
        "written": asked["written"] if status != 200 else shown,
        "other_form": f"?{urlencode({'step': asked['step'], 'edit': edit, 'form': _OTHER[form]})}",
        "loses": form == "text" and _has_more(value),
        "preview": previews.preview_fork(run, step=asked["step"], is_edited=edit == "outcome"),
        "versions": list(version.agent.versions.order_by("-number")[:50]) if version is not None else [],
        "chosen_version": asked["version"] or (version.number if version is not None else None),
        "key": asked["key"] or uuid4().hex,
    }
    response = render(request, place, "web/forks/fork.html", context)
    response.status_code = status
    return response


def _as_text(value: Any) -> str | None:
    """Give the text of an input or an outcome that is little else; None for what is better edited as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and not value.get("tool_calls"):
        return next((value[name] for name in _TEXTS if isinstance(value.get(name), str)), None)
    return None


def _has_more(value: Any) -> bool:
    """Whether a bare text would drop something of the value."""
    return isinstance(value, dict) and any(value.get(name) for name in ("data", "citations", "tool_calls"))


@require_safe
@in_workspace()
def preview(request: HttpRequest, place: Place, run_id: UUID, action: str) -> HttpResponse:
    """Show what a retry, or a resume, would reuse and run again."""
    run = queries.run_of(place.workspace, run_id)
    try:
        said = previews.preview_retry(run) if action == "retry" else previews.preview_resume(run)
    except Conflict as error:
        messages.error(request, error.message)
        return redirect("web:run", place.slug, run_id)
    return render(request, place, "web/forks/preview.html", {"run": run, "action": action, "preview": said})


@require_safe
@in_workspace()
def compare(request: HttpRequest, place: Place, run_id: UUID) -> HttpResponse:
    """Show a run beside another one of the workspace: the one named, else the run it is a fork of."""
    run = queries.run_of(place.workspace, run_id)
    other = _other(run, request.GET.get("with", ""))
    left = queries.run_of(place.workspace, other) if other is not None else None
    context = {
        "run": run,
        "other": left,
        "comparison": comparing.compare(left, run, request.GET.get("step", "")[:500]) if left is not None else None,
        "candidates": queries.related_runs(run) if left is None else [],
    }
    return render(request, place, "web/forks/compare.html", context)


def _other(run: Run, named: str) -> UUID | None:
    """Give the run to compare with; raises Http404 for what is no id."""
    if not named:
        return run.forked_from_id
    try:
        return UUID(named.strip())
    except ValueError as error:
        raise Http404 from error
