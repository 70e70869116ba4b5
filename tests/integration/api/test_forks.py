"""Forks over the API: what is said before, what is accepted, whose runs may be forked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from agents.models import AgentVersion, Run, Step, Workspace
from tests.factories import make_agent, make_run


def add_step(run: Run, key: str, at: int, **overrides: Any) -> Step:
    """Record a step that took a second."""
    start = run.created_at + timedelta(seconds=at)
    kind = "tool" if "tool:" in key else "think"
    fields = {"kind": kind, "name": kind, "status": "succeeded", "digest": f"d{at}", **overrides}
    return Step.objects.create(run=run, key=key, started_at=start, finished_at=start + timedelta(seconds=0.5), **fields)


@pytest.fixture
def run(workspace: Workspace) -> Run:
    agent = make_agent(workspace, "helper", workflow="api_echo")
    run = make_run(workspace, workflow="api_echo", status="succeeded", agent_version=agent.current, tainted=True)
    add_step(run, "think#0", 1, outcome={"text": "", "tool_calls": []}, input_tokens=7, cost_microusd=5)
    add_step(run, "tool:send#0", 2, outcome={"text": "sent", "ok": True}, effect="unsafe", name="send", tainted=True)
    add_step(run, "think#1", 3, outcome={"text": "done", "tool_calls": []})
    return run


def post(api: Client, path: str, body: Any, key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return api.post(f"/api/v1/runs/{path}", body, content_type="application/json", headers=headers)


def test_a_preview_names_what_is_done_again(api: Client, run: Run) -> None:
    shown = api.get(f"/api/v1/runs/{run.pk}/fork/preview", {"step": "tool:send#0"}).json()
    assert [step["key"] for step in shown["reused"]] == ["think#0"]
    assert [step["key"] for step in shown["again"]] == ["tool:send#0", "think#1"]
    effect = {"run": str(run.pk), "key": "tool:send#0", "name": "send", "effect": "unsafe", "status": "succeeded"}
    assert (shown["effects"], shown["more_effects"], shown["sub_runs"]) == ([effect], 0, 0)
    body = {"step": "tool:send#0", "outcome": "not sent"}
    edited = post(api, f"{run.pk}/fork/preview", body).json()
    assert (edited["edited"], edited["effects"]) == ("tool:send#0", [])
    assert Run.objects.count() == 1
    assert post(api, f"{run.pk}/fork/preview", {**body, "outcome": 1}).json()["errors"].keys() == {"outcome"}
    assert api.get(f"/api/v1/runs/{run.pk}/fork/preview", {"step": "none#0"}).status_code == 404
    assert api.get(f"/api/v1/runs/{run.pk}/retry/preview").status_code == 409


def test_a_fork_is_accepted_once(api: Client, run: Run) -> None:
    body = {"step": "tool:send#0", "outcome": {"text": "not sent", "ok": False}}
    answers = [post(api, f"{run.pk}/fork", body, "k") for _ in range(2)]
    assert {answer.status_code for answer in answers} == {202}
    shown = answers[0].json()
    assert answers[1].json()["id"] == shown["id"]
    assert shown["forked_from"].items() >= {"run": str(run.pk), "step": "tool:send#0", "edited": "outcome"}.items()
    assert (shown["status"], shown["tainted"], shown["steps_done"]) == ("queued", True, 2)
    assert (shown["agent"], shown["agent_version"], shown["cost_microusd"]) == ("helper", 1, 0)
    steps = api.get(f"/api/v1/runs/{shown['id']}/steps").json()["items"]
    assert [step["key"] for step in steps] == ["think#0", "tool:send#0", "fork"]
    assert steps[1]["outcome"]["text"] == "not sent"
    assert "at the fork" in steps[1]["attempts"][0]["message"]
    # The same key with another body; what can't be forked; a run without a fork.
    assert post(api, f"{run.pk}/fork", {**body, "outcome": "b"}, "k").status_code == 422
    assert post(api, f"{run.pk}/fork", {"outcome": "b"}).json()["errors"].keys() == {"step"}
    assert post(api, f"{run.pk}/fork", {"stepp": "b"}).json()["errors"].keys() == {"stepp"}
    assert api.get(f"/api/v1/runs/{run.pk}").json()["forked_from"] is None


def test_a_fork_may_go_on_with_another_version(api: Client, run: Run) -> None:
    assert run.agent_version is not None
    agent = run.agent_version.agent
    AgentVersion.objects.create(agent=agent, number=2, workflow="api_echo", instructions="Be brief.")
    AgentVersion.objects.create(agent=agent, number=3, workflow="react")
    body = {"step": "think#1", "version": 2}
    assert post(api, f"{run.pk}/fork", body).json()["agent_version"] == 2
    assert "another workflow" in post(api, f"{run.pk}/fork", {**body, "version": 3}).json()["detail"]
    assert post(api, f"{run.pk}/fork", {**body, "version": 4}).status_code == 404


@pytest.mark.fault(35)
def test_a_run_of_another_workspace_is_not_forked(api: Client) -> None:
    other = make_run(status="failed")
    for path in ("fork", "fork/preview"):
        assert post(api, f"{other.pk}/{path}", {}).status_code == 404
    for path in ("fork/preview", "retry/preview", "resume/preview"):
        assert api.get(f"/api/v1/runs/{other.pk}/{path}").status_code == 404
