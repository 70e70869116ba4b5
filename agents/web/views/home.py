"""Home: say what you want done."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from agents.definitions.template import GOAL, names_for
from agents.models import Agent, Document, Role
from agents.services import runs, samples
from agents.services.errors import InvalidInput, ServiceError
from agents.services.publishing import split_pin
from agents.web import queries
from agents.web.cap_forms import BudgetForm
from agents.web.forms import StartForm
from agents.web.place import Place, in_workspace, render

SAMPLES = {"researcher": samples.SAMPLE_GOALS, "research-team": samples.TEAM_GOALS}
"""Goals to try, by the starting agent that they are for."""


@require_safe
@in_workspace()
def home(request: HttpRequest, place: Place) -> HttpResponse:
    """Show the goal box, samples while there is little else, and the latest runs."""
    form = StartForm(initial={"goal": request.GET.get("goal", "")})
    return _page(request, place, form, request.GET.get("agent", ""))


@require_POST
@in_workspace(needs=Role.MEMBER)
def start(request: HttpRequest, place: Place) -> HttpResponse:
    """Start a run and lead to its page."""
    form, budget = StartForm(request.POST), BudgetForm(request.POST)
    if form.is_valid() and budget.is_valid():
        try:
            name, version = split_pin(form.cleaned_data["agent"])
            agent = Agent.objects.filter(workspace=place.workspace, name=name, archived_at=None).first()
            if agent is None:
                raise InvalidInput("There is no agent of that name.", "agent")
            run = runs.start_run(
                workspace=place.workspace,
                agent=agent,
                version=version,
                input={"goal": form.cleaned_data["goal"]},
                by=place.user,
                source="web",
                budget=budget.budget,
            )
        except ServiceError as error:
            form.add_error("agent" if getattr(error, "field", "") == "agent" else None, error.message)
        else:
            return redirect("web:run", place.slug, run.id)
    return _page(request, place, form, request.POST.get("agent", ""), budget)


def _page(
    request: HttpRequest, place: Place, form: StartForm, chosen: str, refused: BudgetForm | None = None
) -> HttpResponse:
    # An agent that takes something else than a goal is started on its own page, which has the fields for it.
    agents = [agent for agent in queries.agents_of(place.workspace) if _takes_goal(agent)]
    names = {agent.name for agent in agents}
    name, pinned, _ = chosen.partition("@")
    response = render(
        request,
        place,
        "web/home.html",
        {
            "form": form,
            "budget": refused or BudgetForm(),
            "goal": form["goal"].value() or "",
            "agents": agents,
            "chosen": name if name in names else next(iter([agent.name for agent in agents]), ""),
            "pinned": chosen if pinned and name in names else "",
            "samples": [(goal, agent) for agent, goals in SAMPLES.items() if agent in names for goal in goals],
            "runs": queries.recent_runs(place.workspace),
            "has_documents": Document.objects.filter(workspace=place.workspace).exists(),
        },
    )
    response.status_code = 200 if refused is None else 422
    return response


def _takes_goal(agent: Agent) -> bool:
    return agent.current is None or GOAL in names_for(agent.current.input_schema)
