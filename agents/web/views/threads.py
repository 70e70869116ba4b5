"""Threads: what was said in conversations with agents, and the box for what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from agents.models import Agent, BusyPolicy, Role, Thread, ThreadMessage
from agents.services import threads as services
from agents.services.errors import ServiceError
from agents.web import detail, queries
from agents.web.forms import MessageForm, NewThreadForm, PolicyForm
from agents.web.place import Place, act, in_workspace, render, render_part


@dataclass(frozen=True, slots=True)
class Turn:
    """A message with what its run has come to."""

    message: ThreadMessage
    answer: detail.Answer | None


@require_safe
@in_workspace()
def threads(request: HttpRequest, place: Place) -> HttpResponse:
    """List the workspace's threads, with a form for a new one."""
    form = NewThreadForm(initial={"agent": request.GET.get("agent", "")})
    return _list(request, place, form)


def _list(request: HttpRequest, place: Place, form: NewThreadForm, *, status: int = 200) -> HttpResponse:
    found, before = queries.threads_of(place.workspace, request.GET.get("before", ""))
    context = {
        "threads": found,
        "next_before": before,
        "form": form,
        "agents": queries.agents_of(place.workspace),
        "policies": BusyPolicy.choices,
    }
    response = render(request, place, "web/threads/list.html", context)
    response.status_code = status
    return response


@require_POST
@in_workspace(needs=Role.MEMBER)
def start(request: HttpRequest, place: Place) -> HttpResponse:
    """Begin a thread with its first message."""
    form = NewThreadForm(request.POST)
    if not form.is_valid():
        return _list(request, place, form, status=422)
    given = form.cleaned_data
    agent = Agent.objects.filter(workspace=place.workspace, name=given["agent"], archived_at=None).first()
    if agent is None:
        form.add_error("agent", "There is no agent of that name.")
        return _list(request, place, form, status=422)
    try:
        with transaction.atomic():
            thread = services.create_thread(
                workspace=place.workspace, agent=agent, title=given["title"], policy=given["policy"], by=place.user
            )
            services.post_message(thread, text=given["text"], by=place.user)
    except ServiceError as error:
        form.add_error(None, error.message)
        return _list(request, place, form, status=422)
    return redirect("web:thread", place.slug, thread.pk)


@require_safe
@in_workspace()
def thread(request: HttpRequest, place: Place, thread_id: UUID) -> HttpResponse:
    """Show a thread: its latest messages with their answers, the oldest first."""
    found = services.find_thread(place.workspace, thread_id)
    messages, before = queries.messages_of(found, request.GET.get("before", ""))
    turns = [Turn(message, _answer(place, message)) for message in messages]
    context: dict[str, Any] = {
        "thread": found,
        "turns": turns,
        "earlier": before,
        "is_latest": "before" not in request.GET,
        "is_busy": any(not message.run.has_ended for message in messages),
        "policies": BusyPolicy.choices,
        "key": uuid4().hex,
    }
    if request.headers.get("HX-Target") == "thread-messages":
        return render_part(request, place, "web/threads/messages.html", context)
    return render(request, place, "web/threads/thread.html", context)


def _answer(place: Place, message: ThreadMessage) -> detail.Answer | None:
    message.run.workspace = place.workspace
    return detail.describe_answer(message.run, page=reverse("web:run", args=(place.slug, message.run_id)))


@require_POST
@in_workspace(needs=Role.MEMBER)
def say(request: HttpRequest, place: Place, thread_id: UUID) -> HttpResponse:
    """Say something in a thread."""
    found = services.find_thread(place.workspace, thread_id)
    form = MessageForm(request.POST)
    if not form.is_valid():
        return HttpResponse("A message has some text.", status=400, content_type="text/plain")
    given = form.cleaned_data
    act(
        request,
        "",
        lambda: services.post_message(found, text=given["text"], by=place.user, idempotency_key=given["key"]),
    )
    return redirect(f"{_page(place, found)}#say")


@require_POST
@in_workspace(needs=Role.MEMBER)
def change(request: HttpRequest, place: Place, thread_id: UUID) -> HttpResponse:
    """Say what becomes of messages that come while one is at work."""
    found = services.find_thread(place.workspace, thread_id)
    form = PolicyForm(request.POST)
    if not form.is_valid():
        return HttpResponse("There is no such policy.", status=400, content_type="text/plain")
    act(request, "Saved.", lambda: services.change_thread(found, policy=form.cleaned_data["policy"]))
    return redirect(_page(place, found))


def _page(place: Place, found: Thread) -> str:
    return reverse("web:thread", args=(place.slug, found.pk))
