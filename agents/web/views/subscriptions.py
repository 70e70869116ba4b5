"""Subscriptions: which events start which agents. Listed, looked at, edited, tried on what has come."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import Match, Role, Subscription
from agents.services import event_traces
from agents.services import subscriptions as services
from agents.services.errors import InvalidInput
from agents.web import queries
from agents.web.flow_words import flow_words
from agents.web.place import Place, act, in_workspace, render, render_part
from agents.web.subscription_forms import SubscriptionForm

MAX_NUMBER = 10**18


@require_safe
@in_workspace()
def listed(request: HttpRequest, place: Place) -> HttpResponse:
    """List the subscriptions of the workspace by name."""
    text, after = request.GET.get("q", "").strip()[:100], request.GET.get("after", "")[:60]
    found = services.list_subscriptions(place.workspace)
    if text:
        found = found.filter(Q(name__icontains=text) | Q(pattern__icontains=text) | Q(agent__name__icontains=text))
    rows = list(found.filter(name__gt=after)[: queries.PAGE + 1])
    page = rows[: queries.PAGE]
    figures = event_traces.figures_of(page)
    context = {
        "subscriptions": [(row, figures.get(row.pk, event_traces.Figures())) for row in page],
        "text": text,
        "following": page[-1].name if len(rows) > queries.PAGE else "",
    }
    return render(request, place, "web/subscriptions/page.html", context)


@require_safe
@in_workspace()
def subscription(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Show a subscription and what came of the events that met it."""
    found = services.get_subscription(place.workspace, name)
    rows, older = _matches(found, request.GET.get("older", ""))
    context = {
        "subscription": found,
        "figures": event_traces.figures_of([found]).get(found.pk, event_traces.Figures()),
        "flow": flow_words(found.flow),
        "matches": rows,
        "older": older,
    }
    return render(request, place, "web/subscriptions/subscription.html", context)


def _matches(found: Subscription, before: str) -> tuple[list[Match], int | None]:
    """Give a page of what came of its events, and the number that leads to the next."""
    matches = event_traces.matches_at(found)
    if before.isascii() and before.isdigit() and int(before[:19]) < MAX_NUMBER:
        matches = matches.filter(pk__lt=int(before))
    rows = list(matches[: queries.PAGE + 1])
    return rows[: queries.PAGE], rows[queries.PAGE - 1].pk if len(rows) > queries.PAGE else None


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def new(request: HttpRequest, place: Place) -> HttpResponse:
    """Make a subscription, or say what it would have matched."""
    if request.method == "POST":
        return _take(request, place, SubscriptionForm(request.POST, workspace=place.workspace), None)
    given = {"pattern": request.GET.get("pattern", ""), "agent": request.GET.get("agent", "")}
    return _editor(request, place, SubscriptionForm(workspace=place.workspace, initial=given), None)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def edit(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Change a subscription, or say what it would have matched as it is edited."""
    found = services.get_subscription(place.workspace, name)
    if request.method == "POST":
        form = SubscriptionForm(request.POST, workspace=place.workspace, subscription=found)
        return _take(request, place, form, found)
    return _editor(request, place, SubscriptionForm.of(found), found)


def _take(request: HttpRequest, place: Place, form: SubscriptionForm, found: Subscription | None) -> HttpResponse:
    """Keep what was filled in, or only try it."""
    context: dict[str, Any] = {}
    if "try" in request.POST and found is None:
        # What is tried needs no name yet.
        form.fields["name"].required = False
    if form.is_valid():
        try:
            if "try" in request.POST:
                context["trial"] = services.try_subscription(place.workspace, form.wanted)
            else:
                kept = _keep(place, form, found)
                messages.success(
                    request, f"The subscription “{kept.name}” is {'made' if found is None else 'changed'}."
                )
                return redirect("web:subscription", place.slug, kept.name)
        except InvalidInput as error:
            form.refuse(error.field, error.message)
    if request.headers.get("HX-Target") == "trial":
        return render_part(request, place, "web/subscriptions/trial.html", {**context, "form": form})
    return _editor(request, place, form, found, **context)


def _keep(place: Place, form: SubscriptionForm, found: Subscription | None) -> Subscription:
    if found is None:
        return services.create_subscription(place.workspace, form.cleaned_data["name"], form.wanted, by=place.user)
    return services.change_subscription(found, form.wanted, by=place.user)


def _editor(
    request: HttpRequest, place: Place, form: SubscriptionForm, found: Subscription | None, **more: Any
) -> HttpResponse:
    context = {"form": form, "subscription": found, **more}
    response = render(request, place, "web/subscriptions/edit.html", context)
    response.status_code = 422 if form.errors else 200
    return response


@require_POST
@in_workspace(needs=Role.ADMIN)
def set_state(request: HttpRequest, place: Place, name: str, state: str) -> HttpResponse:
    """Let a subscription start runs, or no more."""
    found = services.get_subscription(place.workspace, name)
    words = "active: what comes from now on starts runs" if state == "active" else "paused"
    act(request, f"“{name}” is {words}.", lambda: services.set_state(found, state, by=place.user))
    return redirect("web:subscription", place.slug, name)


@require_POST
@in_workspace(needs=Role.ADMIN)
def remove(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Remove a subscription."""
    found = services.get_subscription(place.workspace, name)
    done = f"The subscription “{name}” was removed."
    act(request, done, lambda: services.remove_subscription(found, by=place.user))
    return redirect("web:subscriptions", place.slug)
