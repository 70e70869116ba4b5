"""Agents: the list, one agent with its team and its figures, new ones, those read in from YAML, those put away."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import Agent, Role, Workspace
from agents.services import agent_exchange, drafts, publishing, runs
from agents.services.at_work import at_work
from agents.services.errors import Conflict, InvalidInput
from agents.web import queries, schema_forms
from agents.web.agent_figures import figures_of
from agents.web.agent_forms import ImportForm, NewAgentForm, start_schema
from agents.web.cap_forms import BudgetForm
from agents.web.place import Place, act, in_workspace, render
from agents.web.stages import stages_picture
from agents.web.team_picture import team_picture

YAML = "application/yaml; charset=utf-8"
LATEST = 5


@require_safe
@in_workspace()
def agents(request: HttpRequest, place: Place) -> HttpResponse:
    """List the workspace's agents, with how their latest runs went and who may give work to whom."""
    figures, found = figures_of(place.workspace), list(_agents(place.workspace))
    shown = [agent for agent in found if agent.archived_at is None]
    context = {
        "agents": [(agent, figures.get(agent.pk)) for agent in shown],
        "archived": [agent for agent in found if agent.archived_at is not None],
        "picture": team_picture(publishing.surroundings(place.workspace).agents, {agent.name for agent in shown}),
    }
    return render(request, place, "web/agents/list.html", context)


def _agents(workspace: Workspace) -> QuerySet[Agent]:
    return Agent.objects.filter(workspace=workspace).select_related("current", "draft").order_by("name")


@require_safe
@in_workspace()
def agent(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Show an agent as runs get it; as its draft while nothing is published."""
    found = drafts.get_agent(place.workspace, name)
    draft = drafts.draft_of(found)
    definition = drafts.definition_of(found.current, found) if found.current else draft.definition
    context = described(place, found, definition) | {"draft": draft, "at_work": at_work(found)}
    return render(request, place, "web/agents/agent.html", context)


def described(place: Place, found: Agent, definition: dict[str, Any]) -> dict[str, Any]:
    """Give what pages say about a definition: its pictures, whom it names, and the fields a run of it asks for."""
    published = publishing.surroundings(place.workspace).agents
    return {
        "agent": found,
        "definition": definition,
        "figures": figures_of(place.workspace).get(found.pk),
        "team": team_picture(_reached(found.name, {**published, found.name: definition["sub_agents"]}), published),
        "stages": stages_picture(definition),
        "known": set(published),
        "lacking": publishing.lacking_tools(place.workspace, definition),
        "budget": BudgetForm(),
        "fields": schema_forms.fields_of(start_schema(definition["input_schema"]), None),
        "runs": queries.runs_of_agent(found, LATEST),
    }


def _reached(first: str, below: dict[str, Any]) -> dict[str, Any]:
    """Give those whom an agent's work can reach, with whom they give work to."""
    found, waiting = {}, [first]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = below.get(name, ())
            waiting += found[name]
    return found


@require_POST
@in_workspace(needs=Role.MEMBER)
def start(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Start a run of an agent, or of the version that is named."""
    found, budget = drafts.get_agent(place.workspace, name), BudgetForm(request.POST)
    if not budget.is_valid():
        told = [f"{budget.fields[field].label}: {said[0]}" for field, said in budget.errors.items()]
        messages.error(request, f"The budget can't be used. {' '.join(told)}")
        return redirect("web:agent", place.slug, name)
    try:
        _, version = publishing.split_pin(f"{name}@{request.POST['version']}" if "version" in request.POST else name)
        pinned = found.current if version is None else publishing.version_of(found, version)
        schema = start_schema(pinned.input_schema if pinned else None)
        run = runs.start_run(
            workspace=place.workspace,
            agent=found,
            version=version,
            input=schema_forms.read_fields(schema, None, request.POST.dict()),
            by=place.user,
            source="web",
            budget=budget.budget,
        )
    except InvalidInput as error:
        messages.error(request, f"{error.field}: {error.message}" if error.field else error.message)
        return redirect("web:agent", place.slug, name)
    return redirect("web:run", place.slug, run.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def new(request: HttpRequest, place: Place) -> HttpResponse:
    """Make an agent, then lead to its draft."""
    form = NewAgentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            draft = drafts.create_agent(place.workspace, form.cleaned_data, by=place.user)
        except (InvalidInput, Conflict) as error:
            form.add_error("description" if getattr(error, "field", "") == "description" else "name", error.message)
        else:
            return redirect("web:agent-draft", place.slug, draft.agent.name)
    response = render(request, place, "web/agents/new.html", {"form": form})
    response.status_code = 422 if request.method == "POST" else 200
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def read_in(request: HttpRequest, place: Place) -> HttpResponse:
    """Read an agent in as a draft: first say what would change, then do it."""
    form = ImportForm(request.POST or None, request.FILES or None)
    context: dict[str, Any] = {"form": form}
    if request.method == "POST" and form.is_valid():
        text, revision = form.cleaned_data["text"], form.cleaned_data["revision"]
        try:
            if "take" in request.POST:
                draft = agent_exchange.import_agent(place.workspace, text, revision=revision, by=place.user)
                messages.success(request, "Read in as a draft. Look at it, then publish it.")
                return redirect("web:agent-draft", place.slug, draft.agent.name)
            context |= {"coming": agent_exchange.preview_import(place.workspace, text, by=place.user), "text": text}
        except InvalidInput as error:
            for field, told in (error.errors or {"": [error.message]}).items():
                form.add_error(None, [f"{field}: {said}" if field not in ("", "body") else said for said in told])
        except Conflict as error:
            form.add_error(None, error.message)
            context |= {"coming": agent_exchange.preview_import(place.workspace, text, by=place.user), "text": text}
    response = render(request, place, "web/agents/import.html", context)
    response.status_code = 422 if form.errors else 200
    return response


@require_safe
@in_workspace()
def export(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Give an agent as YAML: what runs get, or the version or draft that the address names."""
    found = drafts.get_agent(place.workspace, name)
    try:
        text = agent_exchange.export_agent(found, request.GET.get("version", "") or ("" if found.current else "draft"))
    except InvalidInput as error:
        return HttpResponse(error.message, status=400, content_type="text/plain; charset=utf-8")
    headers = {"Content-Disposition": f'attachment; filename="{found.name}.yaml"'}
    return HttpResponse(text, content_type=YAML, headers=headers)


@require_POST
@in_workspace(needs=Role.ADMIN)
def archive(request: HttpRequest, place: Place, name: str, *, archived: bool) -> HttpResponse:
    """Put an agent away, or bring it back."""
    found = drafts.get_agent(place.workspace, name)
    done = f"{name} is put away: no new run of it starts." if archived else f"{name} is back."
    act(request, done, lambda: publishing.set_archived(found, archived=archived, by=place.user))
    return redirect("web:agent", place.slug, name)
