"""Signals: what people tell a run that waits for an event, by the form on its page."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from agents.engine.canonical import digest
from agents.models import Event, Role, Run
from agents.services.errors import InvalidInput, ServiceError
from agents.services.event_waits import EventWait, event_waits
from agents.services.events import send_signal
from agents.web import queries, schema_forms
from agents.web.agent_forms import json_or_text
from agents.web.forms import SignalForm
from agents.web.place import Place, in_workspace
from agents.web.views.run import return_to_run


@require_POST
@in_workspace(needs=Role.MEMBER)
def signal(request: HttpRequest, place: Place, run_id: UUID) -> HttpResponse:
    """Tell a run of an event that is for it alone."""
    run = queries.run_of(place.workspace, run_id)
    form = SignalForm(request.POST)
    if not form.is_valid():
        return HttpResponse("This is no signal.", status=400, content_type="text/plain")
    wait = next((wait for wait in event_waits(run) if wait.id == form.cleaned_data["wait"]), None)
    if wait is None:
        messages.error(request, "The run does not wait for this any more; nothing was sent.")
        return return_to_run(request, place, run_id)
    try:
        event = _send(run, wait, form, request)
    except InvalidInput as error:
        messages.error(request, f"{error.field}: {error.message}" if error.field else error.message)
    except ServiceError as error:
        messages.error(request, error.message)
    else:
        if event.is_new and not wait.takes(event):
            messages.error(request, "It is kept for the run, but it is not what the run waits for now.")
    return return_to_run(request, place, run_id)


def _send(run: Run, wait: EventWait, form: SignalForm, request: HttpRequest) -> Event:
    data = _data(wait, request)
    name = wait.name or form.cleaned_data["name"]
    # A double click counts once; something else in the same form is another signal.
    once = digest([form.cleaned_data["key"], name, data]) if form.cleaned_data["key"] else ""
    with transaction.atomic():
        return send_signal(run, name, data, signal_id=once)


def _data(wait: EventWait, request: HttpRequest) -> Any:
    """Give what the fields say; without a form of the run's own it is JSON, or any other text as a text."""
    filled = {name: str(value) for name, value in request.POST.items()}
    if wait.form is not None:
        return schema_forms.read_fields(wait.form, None, filled)
    return json_or_text(filled.get(schema_forms.WHOLE, ""))
