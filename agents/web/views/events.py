"""Events: the list, each with what came of it, telling of one by hand, telling of them once more."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import Event, Role
from agents.services import event_log, event_traces, events
from agents.services.errors import InvalidInput
from agents.web import queries
from agents.web.event_forms import EventFilterForm, NewEventForm, ReplayRangeForm
from agents.web.place import Place, in_workspace, render, render_part

MAX_NUMBER = 10**18


@require_safe
@in_workspace()
def listed(request: HttpRequest, place: Place) -> HttpResponse:
    """List the workspace's events, filtered by what the address says."""
    form = EventFilterForm(request.GET)
    rows: list[Event] = []
    older = None
    if form.is_valid():
        try:
            rows, older = _page(event_log.find_events(place.workspace, form.wanted), request.GET.get("older", ""))
        except InvalidInput as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
    outcomes = event_traces.outcomes_of(rows)
    context = {"form": form, "events": [(event, outcomes.get(event.pk, [])) for event in rows], "older": older}
    if request.headers.get("HX-Target") == "events-list":
        response = render_part(request, place, "web/events/list.html", context)
    else:
        response = render(request, place, "web/events/page.html", context)
    response["Vary"] = "HX-Target, Cookie"
    return response


def _page(found: Any, before: str) -> tuple[list[Event], int | None]:
    """Give a page of events, the newest first, and the number that leads to the next."""
    if before.isascii() and before.isdigit() and int(before[:19]) < MAX_NUMBER:
        found = found.filter(pk__lt=int(before))
    rows = list(found.defer("data", "attributes")[: queries.PAGE + 1])
    return rows[: queries.PAGE], rows[queries.PAGE - 1].pk if len(rows) > queries.PAGE else None


@require_safe
@in_workspace()
def event(request: HttpRequest, place: Place, event_id: int) -> HttpResponse:
    """Show an event: what it says, when and whence it came, and its delivery log."""
    found = event_log.get_event(place.workspace, event_id)
    matches, more = event_traces.matches_of(found)
    is_open = found.dispatched_at is None or any(m.run is not None and not m.run.has_ended for m in matches)
    context: dict[str, Any] = {"event": found, "matches": matches, "more": more, "is_open": is_open}
    context |= {"webhooks": event_traces.webhooks_of(found), "near_misses": event_traces.near_misses_of(found)}
    if request.headers.get("HX-Target") == "event-log":
        return render_part(request, place, "web/events/log.html", context)
    related = {run.pk: run for run in queries.listed(place.workspace).filter(pk__in=_runs_of(found))}
    context |= {
        "cause": related.get(found.cause_id) if found.cause_id else None,
        "receiver": related.get(found.to_run_id) if found.to_run_id else None,
        "replays": event_traces.replays_of(found),
        "origin": event_traces.origin_of(found),
        "key": uuid4().hex,
    }
    return render(request, place, "web/events/event.html", context)


def _runs_of(found: Event) -> list[Any]:
    return [pk for pk in (found.cause_id, found.to_run_id) if pk is not None]


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.MEMBER)
def send(request: HttpRequest, place: Place) -> HttpResponse:
    """Tell of an event by hand."""
    given = {"key": uuid4().hex, "source": f"person:{place.user.username}", "name": request.GET.get("name", "")}
    form = NewEventForm(request.POST) if request.method == "POST" else NewEventForm(initial=given)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                (told,) = events.take_events(place.workspace, [form.event])
        except InvalidInput as error:
            form.refuse(error.field, error.message)
        else:
            said = "It is kept, and dispatched in a moment." if told.is_new else "It was told of before: here it is."
            messages.success(request, said)
            return redirect("web:event", place.slug, told.pk)
    response = render(request, place, "web/events/send.html", {"form": form})
    response.status_code = 422 if request.method == "POST" else 200
    return response


@require_POST
@in_workspace(needs=Role.MEMBER)
def replay(request: HttpRequest, place: Place, event_id: int) -> HttpResponse:
    """Dispatch an event once more."""
    found = event_log.get_event(place.workspace, event_id)
    again = event_log.replay_event(found, by=place.user, key=request.POST.get("key", "")[:64])
    messages.success(request, "It is told of once more, as this event.")
    return redirect("web:event", place.slug, again.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.MEMBER)
def replay_range(request: HttpRequest, place: Place) -> HttpResponse:
    """Dispatch a range of events once more: first say how many, then do it."""
    is_asked = request.method == "POST" or "after" in request.GET
    form = ReplayRangeForm(request.POST if request.method == "POST" else request.GET if is_asked else None)
    context: dict[str, Any] = {"form": form, "key": uuid4().hex}
    if is_asked and form.is_valid():
        wanted = form.wanted(timezone.now())
        try:
            if request.method == "POST":
                again = event_log.replay_events(
                    place.workspace, wanted, by=place.user, key=request.POST.get("key", "")[:64]
                )
                messages.success(request, f"{len(again):,} told of once more." if again else "There was nothing.")
                return redirect("web:events", place.slug)
            context |= {"preview": event_log.preview_replay(place.workspace, wanted), "wanted": wanted}
        except InvalidInput as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
    response = render(request, place, "web/events/replay.html", context)
    response.status_code = 422 if form.errors else 200
    return response
