"""Plain makers of rows for tests: each gives something valid, and takes what the test is about."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any, cast

from django.db import transaction
from django.test import Client
from django.utils import timezone

from agents.engine.notify import announce
from agents.models import (
    ENDED,
    Agent,
    AgentVersion,
    Approval,
    Artifact,
    AuthToken,
    Event,
    Listener,
    Membership,
    Role,
    Run,
    RunEvent,
    RunStatus,
    Scope,
    User,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSource,
    Worker,
    Workspace,
)
from agents.services.artifacts import artifact_store

_numbers = count(1)


def make_workspace(slug: str = "", **overrides: Any) -> Workspace:
    slug = slug or f"workspace-{next(_numbers)}"
    return Workspace.objects.create(**{"slug": slug, "name": slug.title(), **overrides})


def make_user(workspace: Workspace | None = None, role: Role = Role.MEMBER, **overrides: Any) -> User:
    """Make a person, a member of the workspace if one is named; without a password, which takes long to hash."""
    user = User.objects.create_user(**{"username": f"user-{next(_numbers)}", **overrides})
    if workspace is not None:
        Membership.objects.create(workspace=workspace, user=user, role=role)
    return user


def make_token(workspace: Workspace, user: User | None = None, **overrides: Any) -> str:
    """Make an API token and give its text."""
    fields = {"scopes": [Scope.READ, Scope.WRITE], "workspace": workspace, **overrides}
    _, text = AuthToken.objects.create(user=user or make_user(workspace), **fields)
    return str(text)


def make_listener(run: Run, key: str, pattern: str, match: Any = None) -> Listener:
    """Make a wait for an event, as the journal registers it: it has not looked back yet."""
    asked = {"workspace_id": run.workspace_id, "pattern": pattern, "filter": match}
    return Listener.objects.create(run=run, key=key, **asked)


def make_agent(workspace: Workspace, name: str = "", **overrides: Any) -> Agent:
    """Make an agent with one version."""
    agent = Agent.objects.create(workspace=workspace, name=name or f"agent-{next(_numbers)}")
    agent.current = AgentVersion.objects.create(**{"agent": agent, "number": 1, "workflow": "react", **overrides})
    agent.save()
    return agent


def make_worker(**overrides: Any) -> Worker:
    number = next(_numbers)
    fields = {"name": f"worker-{number}", "host": "host", "host_id": "host", "pid": number, "pid_start": 1}
    return Worker.objects.create(**{**fields, "lease": 8.0, "seen": 0.0, **overrides})


def make_run(workspace: Workspace | None = None, **overrides: Any) -> Run:
    """Make a run of a workflow, waiting unless the test says otherwise: no worker takes it."""
    fields: dict[str, Any] = {"workflow": "echo", "status": RunStatus.WAITING, "input": {"goal": "try it"}, **overrides}
    if fields["status"] in ENDED:
        fields.setdefault("finished_at", timezone.now())
    if fields["status"] == RunStatus.RUNNING:
        fields.setdefault("worker", make_worker())
    return Run.objects.create(workspace=workspace or make_workspace(), **fields)


def make_approval(run: Run, **overrides: Any) -> Approval:
    """Make an open question of a run, about a call."""
    fields: dict[str, Any] = {
        "key": f"approve:send#{next(_numbers)}",
        "kind": "approve",
        "subject": "send",
        "effect": "It sends a letter.",
        "why": "The run has read what strangers may have written.",
        "arguments": {"to": "anna@example.org", "text": "Hello"},
        "form": {"type": "object"},
        "expires_at": timezone.now() + timedelta(days=1),
        **overrides,
    }
    return Approval.objects.create(workspace_id=run.workspace_id, run=run, **fields)


def make_artifact(run: Run, key: str, content: bytes = b"content", **overrides: Any) -> Artifact:
    """Make a file that a step of a run has kept, with its content."""
    fields = {"key": key, "name": "notes.txt", "media_type": "text/plain", "created_at": timezone.now(), **overrides}
    address = artifact_store().write(run.workspace_id, content)
    return Artifact.objects.create(workspace_id=run.workspace_id, run=run, size=len(content), address=address, **fields)


def make_webhooks(workspace: Workspace, name: str = "helper") -> WebhookDelivery:
    """Make a source and an endpoint of this name, and a delivery to it that was given up."""
    WebhookSource.objects.create(workspace=workspace, name=name, scheme="none", event_name=f"{name}.received")
    endpoint = WebhookEndpoint.objects.create(workspace=workspace, name=name, url="https://shop.example/", events=["*"])
    now = timezone.now()
    event = Event.objects.create(workspace=workspace, name="order.paid", data={"id": 1}, dispatched_at=now)
    ended: dict[str, Any] = {"status": "failed", "reason": "Given up.", "due_at": now, "ended_at": now}
    return WebhookDelivery.objects.create(
        workspace=workspace, endpoint=endpoint, event=event, event_name=event.name, body="{}", **ended
    )


def add_events(run: Run, *kinds: str, status: str = "", **data: Any) -> int:
    """Append events to a run's log as its worker would, perhaps with a new status; give the last one's number."""
    with transaction.atomic():
        row = Run.objects.select_for_update().get(pk=run.pk)
        now = timezone.now()
        RunEvent.objects.bulk_create(
            RunEvent(run=row, number=number, kind=kind, at=now, data=cast(Any, data))
            for number, kind in enumerate(kinds, row.last_event + 1)
        )
        row.last_event += len(kinds)
        if status:
            row.status = status
            row.finished_at = now if status in ENDED else None
        row.save()
        announce(live=True)
    return row.last_event


def make_client(token: str) -> Client:
    """Make a client that carries an API token; errors of views come as responses, as for real clients."""
    return Client(headers={"Authorization": f"Bearer {token}"}, raise_request_exception=False)
