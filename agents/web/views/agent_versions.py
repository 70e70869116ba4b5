"""An agent's draft and its versions: edited, published, compared, taken back."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.definitions.comparing import changes_between
from agents.models import Agent, AgentVersion, Role
from agents.services import drafts, publishing
from agents.services.drafts import Draft
from agents.services.errors import Conflict, InvalidInput
from agents.web.agent_forms import DraftForm, PublishForm, RevisionForm, RollBackForm
from agents.web.place import Place, act, in_workspace, render
from agents.web.views.agents import described
from tools.registry import registry

SHOWN = 200
"""So many versions are listed at most."""


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def draft(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Edit what an agent is to become; nothing of it reaches runs before it is published."""
    agent = drafts.get_agent(place.workspace, name)
    found = drafts.draft_of(agent)
    others = sorted(publishing.surroundings(place.workspace).agents)
    if request.method != "POST":
        return _editor(request, place, found, DraftForm.of(found, others))
    form = DraftForm(request.POST, draft=found, agents=others)
    status = 422
    if form.is_valid():
        try:
            drafts.save_draft(agent, form.changes, revision=form.cleaned_data["revision"], by=place.user)
        except InvalidInput as error:
            form.take(error)
        except Conflict as error:
            form.add_error(None, f"{error.message} What you typed is still in the fields below.")
            status = 409
        else:
            messages.success(request, "The draft is saved.")
            return redirect("web:agent-draft", place.slug, name)
    return _editor(request, place, found, form, status)


def _editor(request: HttpRequest, place: Place, found: Draft, form: DraftForm, status: int = 200) -> HttpResponse:
    before = drafts.definition_of(found.agent.current, found.agent) if found.agent.current else None
    context = {
        "agent": found.agent,
        "draft": found,
        "form": form,
        "tools": {tool.name: tool for tool in registry},
        "chosen": {name: set(form[name].value() or ()) for name in ("tools", "approvals__tools", "sub_agents")},
        "problems": publishing.problems_of_draft(found),
        "changes": changes_between(before, found.definition) if before else [],
    }
    response = render(request, place, "web/agents/draft.html", context)
    response.status_code = status
    return response


@require_POST
@in_workspace(needs=Role.ADMIN)
def discard(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Forget what is not published."""
    agent, form = drafts.get_agent(place.workspace, name), RevisionForm(request.POST)
    if not form.is_valid():
        return _unreadable()
    given = form.cleaned_data
    act(request, "The draft is what runs get again.", lambda: drafts.discard_draft(agent, **given, by=place.user))
    return redirect("web:agent-draft", place.slug, name)


@require_POST
@in_workspace(needs=Role.ADMIN)
def publish(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Make a version of the draft."""
    agent, form = drafts.get_agent(place.workspace, name), PublishForm(request.POST)
    if not form.is_valid():
        return _unreadable()
    given = form.cleaned_data
    if act(request, "Published: new runs get it.", lambda: publishing.publish(agent, **given, by=place.user)):
        return redirect("web:agent", place.slug, name)
    return redirect("web:agent-draft", place.slug, name)


@require_safe
@in_workspace()
def versions(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """List what was published, the newest first."""
    agent = drafts.get_agent(place.workspace, name)
    listed = list(publishing.versions_of(agent)[:SHOWN])
    context = {"agent": agent, "versions": listed, "draft": drafts.draft_of(agent), "sides": _sides(agent, listed)}
    return render(request, place, "web/agents/versions.html", context)


def _sides(agent: Agent, listed: list[AgentVersion]) -> tuple[str, str]:
    """Give what is compared unless something else is chosen: what runs get, with the draft or what came before."""
    current = agent.current.number if agent.current else 0
    return (str(max(current - 1, 1)), str(current)) if len(listed) > 1 else (str(current), publishing.DRAFT)


@require_safe
@in_workspace()
def version(request: HttpRequest, place: Place, name: str, number: int) -> HttpResponse:
    """Show one version, with a form to try it."""
    agent = drafts.get_agent(place.workspace, name)
    found = publishing.version_of(agent, number)
    context = described(place, agent, drafts.definition_of(found, agent))
    return render(request, place, "web/agents/version.html", context | {"version": found})


@require_safe
@in_workspace()
def compare(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Show what differs between two versions, or a version and the draft."""
    agent = drafts.get_agent(place.workspace, name)
    before, after = request.GET.get("before", ""), request.GET.get("after", publishing.DRAFT)
    try:
        changes = publishing.compare(agent, before, after)
    except InvalidInput as error:
        return HttpResponse(error.message, status=400, content_type="text/plain; charset=utf-8")
    context = {"agent": agent, "before": before, "after": after, "changes": changes}
    return render(request, place, "web/agents/compare.html", context)


@require_POST
@in_workspace(needs=Role.ADMIN)
def roll_back(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Let runs get an earlier version again."""
    agent, form = drafts.get_agent(place.workspace, name), RollBackForm(request.POST)
    if not form.is_valid():
        return _unreadable()
    number = form.cleaned_data["version"]
    done = f"New runs get version {number} again."
    act(request, done, lambda: publishing.roll_back(agent, number=number, by=place.user))
    return redirect("web:agent-versions", place.slug, name)


def _unreadable() -> HttpResponse:
    return HttpResponse("This form can't be read.", status=400, content_type="text/plain; charset=utf-8")
