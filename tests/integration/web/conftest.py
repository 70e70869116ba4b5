"""A workspace with an admin, a member and a viewer, each logged in, and somebody from elsewhere.

Models are imported where they are used: this file is read before Django is set up.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.test import Client

if TYPE_CHECKING:
    from agents.models import Run, Workspace

As = Callable[[str], Client]
CITED = {"title": "Handbook", "quote": "It is so.", "step": "tool:search#0"}


@pytest.fixture
def workspace(db: None) -> Workspace:
    from tests.factories import make_workspace

    return make_workspace(slug="team")


@pytest.fixture
def as_(workspace: Workspace) -> As:
    """Give a client logged in as admin, member or viewer of the workspace, or as somebody else."""
    from agents.models import Role
    from tests.factories import make_user, make_workspace

    def log_in(who: str) -> Client:
        client = Client()
        if who == "stranger":
            client.force_login(make_user(make_workspace(), Role.ADMIN))
        elif who != "nobody":
            client.force_login(make_user(workspace, Role(who)))
        return client

    return log_in


@pytest.fixture
def finished(workspace: Workspace) -> Run:
    """A run with two steps, an answer and a citation."""
    from django.utils import timezone

    from agents.models import Document, Run, RunEvent, RunStatus
    from tests.factories import make_agent

    now = timezone.now()
    agent = make_agent(workspace, "researcher")
    document = Document.objects.create(workspace=workspace, title="Handbook", text="It is so.", size=9, digest="d")
    run = Run.objects.create(
        workspace=workspace,
        agent_version=agent.current,
        workflow="react",
        status=RunStatus.SUCCEEDED,
        input={"goal": "Why <b>is</b> it so?"},
        output={"text": "**Because** it is. [1]", "citations": [{"source": f"document:{document.pk}", **CITED}]},
        tags=["blue"],
        last_event=1,
        created_at=now - timedelta(seconds=9),
        started_at=now - timedelta(seconds=8),
        finished_at=now,
    )
    record_steps(run, started_at=now - timedelta(seconds=7), finished_at=now - timedelta(seconds=5))
    RunEvent.objects.create(run=run, number=1, kind="run_queued", at=run.created_at, data={"by": "somebody"})
    return run


def record_steps(run: Run, **times: datetime) -> None:
    from agents.models import Step, StepStatus

    Step.objects.create(
        run=run,
        key="think#0",
        kind="think",
        name="offline",
        label="think",
        status=StepStatus.SUCCEEDED,
        input={"messages": [{"role": "user", "text": "Why?"}]},
        outcome={"text": "", "tool_calls": [{"id": "1", "name": "search", "arguments": {"query": "so"}}]},
        **times,
    )
    Step.objects.create(
        run=run,
        key="tool:search#0",
        kind="tool",
        name="web_fetch",
        label="act",
        status=StepStatus.SUCCEEDED,
        input={"query": "so", "items": 3},
        outcome={"text": "<script>alert(1)</script>", "ok": True, "data": {"a": 1}, "citations": []},
        attempts=[{"type": "Retryable", "message": "busy", "number": 1, "at": times["finished_at"].isoformat()}],
        attempt=2,
        **times,
    )
