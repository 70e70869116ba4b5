"""What the page of a run shows of processes that work for it."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import ProcessCall, Run, Step
from tests.factories import add_events, make_run, make_user, make_worker, make_workspace
from tests.integration.web.test_pages import INLINE

pytestmark = pytest.mark.django_db

KEY = "tool:grind#0"


@pytest.fixture
def run() -> Run:
    made = make_run(make_workspace("team"), reason="waiting for a process of its own: grind")
    Step.objects.create(run=made, key=KEY, kind="tool", name="grind", status="running", started_at=timezone.now())
    return made


def shown(run: Run) -> str:
    client = Client()
    client.force_login(make_user(run.workspace))
    page = client.get(f"/w/team/runs/{run.id}/").content.decode()
    assert not INLINE.search(page)
    return " ".join(page.split())


def test_a_process_is_shown_with_its_host_its_time_and_how_far_it_is(run: Run) -> None:
    call = ProcessCall.objects.create(id=uuid4(), run=run, key=KEY, tool="grind", timeout=60.0, memory=64)
    page = shown(run)
    assert page.count("until a worker of the queue <code>tools</code> is free") == 2
    assert "Parked" in page

    now = timezone.now()
    call.worker, call.host, call.started_at = make_worker(), "<north>", now - timedelta(seconds=75)
    call.save()
    add_events(run, "step_progress", key=KEY, attempt=1, text="<b>half</b>", done=0.5)
    with mock.patch.object(timezone, "now", return_value=now):
        page = shown(run)
    where = "running in a process of the queue <code>tools</code> on &lt;north&gt; for <span"
    assert page.count(where) == 2
    assert "1 min 15 s" in page
    assert "Running in a process" in page
    assert '<progress max="1" value="0.5"' in page
    assert "&lt;b&gt;half&lt;/b&gt;" in page
    # What an earlier attempt told says nothing about this one.
    Step.objects.update(attempt=2)
    assert "<progress" not in shown(run)
