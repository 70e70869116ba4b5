"""A run: what it is doing, what it did, and the buttons that stop it or let it go on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from agents.models import ENDED, ProcessCall, Role, Run, RunStatus, Step, StepStatus, WaitKind, Wanted
from agents.services import previews
from agents.services import runs as services
from agents.services.event_traces import causes_of
from agents.services.event_waits import event_waits
from agents.services.results import progress_of
from agents.services.trees import read_tree
from agents.services.waits import in_words, waits_of
from agents.web import asked, detail, queries, timeline
from agents.web.files import files_shown
from agents.web.forms import DecisionForm
from agents.web.place import Place, act, back, in_workspace, render, render_part

NAMED = 3
"""Steps by which a run was tainted that its card names."""


@require_safe
@in_workspace()
def run(request: HttpRequest, place: Place, run_id: UUID) -> HttpResponse:
    """Show a run."""
    return render(request, place, "web/run/page.html", _context(request, place, run_id))


@require_safe
@in_workspace()
def parts(request: HttpRequest, place: Place, run_id: UUID) -> HttpResponse:
    """Give the parts of a run's page that change, for its script to put in."""
    return render_part(request, place, "web/run/parts.html", _context(request, place, run_id))


def _context(request: HttpRequest, place: Place, run_id: UUID) -> dict[str, Any]:
    # The run first: the socket resumes from its last event, so that whatever is read later comes twice, never not.
    run = queries.run_of(place.workspace, run_id)
    now = timezone.now()
    return {
        "run": run,
        "now": now,
        "parent": queries.listed(place.workspace).filter(id=run.parent_id).first() if run.parent_id else None,
        "forks": queries.forks_of(run, NAMED),
        "causes": causes_of(run),
        "tree": read_tree(run, now),
        "files": files_shown(run),
        **_steps(request, run, now),
        **_waits(place, run, now),
        **_taint(run),
    }


def _steps(request: HttpRequest, run: Run, now: datetime) -> dict[str, Any]:
    """What the run has done: all steps, and of one, or of the answer, everything."""
    steps, hidden = queries.steps_of(run, everything="all" in request.GET)
    copied_until = queries.copied_until(run)
    calls = queries.calls_of(run) if run.status not in ENDED else {}
    apart = {key for key, call in calls.items() if call.started_at}
    phases = queries.phase_events(run)
    key = request.GET.get("step", "")[:500]
    answer = detail.describe_answer(run)
    chosen = queries.step_of(run, key) if key else _followed(run, steps, has_answer=answer is not None)
    return {
        "timeline": timeline.make_timeline(
            run, steps, phases, now=now, hidden=hidden, apart=apart, copied_until=copied_until
        ),
        "inputs": progress_of(run) if any(step.kind == "each" for step in steps) else None,
        "calls": list(calls.values()),
        "answer": answer,
        "detail": _detail(run, chosen, calls, copied_until),
        "chosen_key": key if chosen is not None else "",
    }


def _waits(place: Place, run: Run, now: datetime) -> dict[str, Any]:
    """What the run waits for, what it asks of a person, and what this one may do with it."""
    waits = waits_of(run)
    can = _possible(run, is_paused=any(wait.kind == WaitKind.PAUSED for wait in waits)) if place.can_write else {}
    return {
        "waits": [wait for wait in waits if wait.kind != WaitKind.PROCESS],
        "waiting": [in_words(wait, now) for wait in waits if wait.kind == WaitKind.SLOT],
        "decisions": detail.decisions_of(waits),
        "cards": asked.cards_of(queries.waiting_approvals(place.workspace, run)),
        "signal_cards": asked.signal_cards_of(event_waits(run)),
        "can": can,
        "going_on": _going_on(run, can),
    }


def _taint(run: Run) -> dict[str, Any]:
    """By which steps the run has read what strangers may have written."""
    named, more = queries.tainting_steps(run, NAMED) if run.tainted else ([], 0)
    return {"tainted_by": named, "more_tainted": more}


def _detail(
    run: Run, step: Step | None, calls: dict[str, ProcessCall], copied_until: datetime | None
) -> detail.StepDetail | None:
    return None if step is None else detail.describe_step(run, step, calls.get(step.key), copied_until)


def _going_on(run: Run, can: dict[str, bool]) -> previews.Preview | None:
    """Say what a retry, or a resume, would reuse and run again, where there is a button for it."""
    if can.get("retry"):
        return previews.preview_retry(run)
    return previews.preview_resume(run) if can.get("resume") else None


def _followed(run: Run, steps: list[Step], *, has_answer: bool) -> Step | None:
    """Choose a step for who has chosen none: what runs now, or what went wrong; None when there is an answer."""
    if has_answer or not steps:
        return None
    wanted = [StepStatus.FAILED] if run.status == RunStatus.FAILED else [StepStatus.RUNNING, StepStatus.INTERRUPTED]
    fitting = [step for step in steps if step.status in wanted and not step.superseded]
    return queries.step_of(run, (fitting or steps)[-1].key)


def _possible(run: Run, *, is_paused: bool) -> dict[str, bool]:
    """Say which buttons make sense now."""
    goes_on = run.status not in ENDED
    is_asked = run.wanted != Wanted.NONE
    return {
        "cancel": goes_on and run.wanted != Wanted.CANCEL,
        "pause": goes_on and not is_asked and not is_paused,
        "resume": goes_on and (is_paused or run.wanted == Wanted.PAUSE),
        "retry": run.status == RunStatus.FAILED,
        "again": not goes_on and run.agent_version is not None and _is_goal(run.input),
    }


def _is_goal(input: Any) -> bool:
    """Whether an input is a goal in words and nothing else: the home page has a field for it."""
    return isinstance(input, str) or (isinstance(input, dict) and set(input) == {"goal"} and bool(input["goal"]))


@require_POST
@in_workspace(needs=Role.MEMBER)
def control(request: HttpRequest, place: Place, run_id: UUID, action: str) -> HttpResponse:
    """Cancel, pause, resume or retry a run."""
    run = queries.run_of(place.workspace, run_id)
    verbs: dict[str, Callable[..., Any]] = {
        "cancel": services.cancel_run,
        "pause": services.pause_run,
        "resume": services.resume_run,
        "retry": services.retry_run,
    }
    act(request, "", lambda: verbs[action](run, by=place.user))
    return return_to_run(request, place, run_id)


@require_POST
@in_workspace(needs=Role.MEMBER)
def decide(request: HttpRequest, place: Place, run_id: UUID) -> HttpResponse:
    """Take a person's word about a step of which the machine can't know enough."""
    run = queries.run_of(place.workspace, run_id)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return HttpResponse("This is no answer to the run's question.", status=400, content_type="text/plain")
    chosen = form.cleaned_data
    act(
        request,
        "",
        lambda: services.decide_step(
            run, key=chosen["key"], choice=chosen["choice"], outcome=chosen["outcome"], by=place.user
        ),
    )
    return return_to_run(request, place, run_id)


def return_to_run(request: HttpRequest, place: Place, run_id: UUID) -> HttpResponse:
    """Answer a form of a run's page: with the parts that change for its script, else with the page."""
    if request.headers.get("X-Requested-With") == "fetch":
        return redirect(f"{reverse('web:run-parts', args=(place.slug, run_id))}{_query(request)}")
    return back(request, reverse("web:run", args=(place.slug, run_id)))


def _query(request: HttpRequest) -> str:
    key = request.POST.get("step", "")[:500]
    return detail.step_link(key) if key else ""
