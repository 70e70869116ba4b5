"""Runs over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import LargeOutcome, Run, RunStatus, Step, Wait, WaitKind, Workspace
from tests.factories import add_events, make_agent, make_run, make_user, make_workspace

pytestmark = pytest.mark.django_db

RUNS = "/api/v1/runs"


def post(api: Client, path: str, body: Any = None, **headers: str) -> Any:
    content: dict[str, Any] = {} if body is None else {"data": body, "content_type": "application/json"}
    return api.post(path, headers=headers, **content)


def ids(api: Client, query: str) -> list[str]:
    return [run["id"] for run in api.get(f"{RUNS}?{query}").json()["items"]]


def test_starts_a_workflow_and_says_where_it_is(api: Client, workspace: Workspace) -> None:
    response = post(api, RUNS, {"workflow": "api_echo", "input": "hello", "priority": 2, "tags": ["a", "b"]})
    run = response.json()
    assert response.status_code == 202
    assert response["Location"] == run["links"]["self"] == f"{RUNS}/{run['id']}"
    assert (run["status"], run["workflow"], run["agent"]) == ("queued", "api_echo", None)
    assert (run["input"], run["priority"], run["tags"]) == ({"goal": "hello"}, 2, ["a", "b"])
    assert api.get(response["Location"]).json() == {**run, "waits": []}
    assert Run.objects.get().workspace == workspace


def test_starts_an_agent_in_its_current_version(api: Client, workspace: Workspace) -> None:
    make_agent(workspace, "helper", workflow="api_echo", number=3)
    run = post(api, RUNS, {"agent": "helper", "input": {"goal": "x"}}).json()
    assert (run["agent"], run["agent_version"], run["workflow"]) == ("helper", 3, "api_echo")


def test_waits_until_it_may_start(api: Client) -> None:
    later = timezone.now() + timedelta(hours=1)
    run = post(api, RUNS, {"workflow": "api_echo", "not_before": later.isoformat()}).json()
    assert run["status"] == "waiting"
    assert run["reason"].startswith("waiting until")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "agent"),
        ({"agent": "a", "workflow": "b"}, "agent"),
        ({"workflow": "nothing_of_this_name"}, "workflow"),
        ({"workflow": "api_echo", "priority": 11}, "priority"),
        ({"workflow": "api_echo", "priority": "high"}, "priority"),
        ({"workflow": "api_echo", "tags": "a"}, "tags"),
        ({"workflow": "api_echo", "tags": [["a"]]}, "tags.0"),
        ({"workflow": "api_echo", "tags": ["a"] * 21}, "tags"),
        ({"workflow": "api_echo", "not_before": "soon"}, "not_before"),
        ({"workflow": "api_echo", "inputs": 1}, "inputs"),
        ([], "body"),
        ('"text"', "body"),
        ("null", "body"),
    ],
)
def test_says_which_field_is_wrong(api: Client, body: Any, field: str) -> None:
    response = post(api, RUNS, body)
    assert response.status_code == 400, response.content
    assert list(response.json()["errors"]) == [field]
    assert not Run.objects.exists()


@pytest.mark.fault(11)
def test_the_same_key_gives_the_same_run(api: Client) -> None:
    first = post(api, RUNS, {"workflow": "api_echo", "input": 1}, **{"Idempotency-Key": "k"})
    again = post(api, RUNS, {"workflow": "api_echo", "input": 1}, **{"Idempotency-Key": "k"})
    other = post(api, RUNS, {"workflow": "api_echo", "input": 2}, **{"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 422)
    assert first.json()["id"] == again.json()["id"]
    assert Run.objects.count() == 1


def test_another_workspace_may_use_the_same_key(api: Client, workspace: Workspace) -> None:
    make_run(make_workspace(), idempotency_key="k", request_digest="x")
    assert post(api, RUNS, {"workflow": "api_echo"}, **{"Idempotency-Key": "k"}).status_code == 202


def test_lists_newest_first_by_pages(api: Client, workspace: Workspace) -> None:
    made = [str(make_run(workspace).pk) for _ in range(5)]
    make_run()
    seen: list[str] = []
    address = f"{RUNS}?limit=2&status=waiting"
    while address:
        page = api.get(address).json()
        assert len(page["items"]) <= 2
        seen += [run["id"] for run in page["items"]]
        address = page["next"]
    assert seen == made[::-1]


def test_finds_runs_by_what_is_known_of_them(api: Client, workspace: Workspace) -> None:
    agent = make_agent(workspace, "finder")
    old = timezone.now() - timedelta(days=2)
    by_agent = make_run(workspace, agent_version=agent.current, tags=["red", "blue"])
    # Ids begin with the time, and an old run has an old one.
    old_id = UUID(int=int(old.timestamp() * 1000) << 80)
    failed = make_run(workspace, id=old_id, status=RunStatus.FAILED, workflow="other", created_at=old)
    child = make_run(workspace, root=failed, parent=failed, input={"goal": 'Say "Grüß Gott" 100%'})
    done = make_run(workspace, status=RunStatus.SUCCEEDED, output={"text": "forty-two"})
    assert ids(api, "agent=finder") == ids(api, "tag=blue") == [str(by_agent.pk)]
    assert ids(api, "tag=re") == []
    assert ids(api, "status=failed") == ids(api, "workflow=other") == [str(failed.pk)]
    assert ids(api, "status=failed&status=succeeded") == [str(done.pk), str(failed.pk)]
    assert ids(api, f"root={failed.pk}") == [str(child.pk), str(failed.pk)]
    day_ago = (timezone.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert ids(api, f"created_before={day_ago}") == [str(failed.pk)]
    assert str(failed.pk) not in ids(api, f"created_after={day_ago}")
    assert ids(api, "q=FORTY") == [str(done.pk)]
    assert ids(api, "q=%22Gr%C3%BC%C3%9F%20Gott%22%20100%25") == [str(child.pk)]


@pytest.mark.parametrize(
    "query", ["status=great", "limit=0", "limit=x", "cursor=abc", "root=1", "created_after=x", "q=%00", "tag=%00"]
)
def test_refuses_what_it_cannot_look_for(api: Client, query: str) -> None:
    assert api.get(f"{RUNS}?{query}").status_code == 400


def test_cancels_pauses_resumes_and_retries(api: Client, workspace: Workspace) -> None:
    run = post(api, RUNS, {"workflow": "api_echo"}).json()["links"]["self"]
    assert post(api, f"{run}/pause").status_code == 202
    assert api.get(run).json()["status"] == "waiting"
    assert post(api, f"{run}/resume").json()["status"] == "queued"
    assert post(api, f"{run}/resume").status_code == 409
    cancelled = post(api, f"{run}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    assert post(api, f"{run}/pause").status_code == 409
    assert post(api, f"{run}/retry").json()["status"] == "queued"


def test_decides_a_step_that_asks(api: Client, workspace: Workspace) -> None:
    run = make_run(workspace)
    path = f"{RUNS}/{run.pk}/decisions"
    assert post(api, path, {"key": "act#0", "choice": "done"}).status_code == 404
    from agents.engine.deciding import decision_name

    Wait.objects.create(run=run, kind=WaitKind.UNKNOWN, key=decision_name("act#0"))
    wrong = post(api, path, {"key": "act#0", "choice": "perhaps"})
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["choice"])
    assert post(api, path, {"key": "act#0", "choice": "done", "outcome": {"sent": True}}).status_code == 202


def test_gives_steps_and_large_outcomes(api: Client, workspace: Workspace) -> None:
    import zstandard

    run = make_run(workspace)
    now = timezone.now()
    large = LargeOutcome.objects.create(run=run, data=zstandard.ZstdCompressor().compress(b'{"text": "long"}'))
    fields = {"run": run, "kind": "think", "name": "think", "status": "succeeded", "started_at": now}
    steps = [Step.objects.create(key=f"think#{n}", outcome={"n": n}, **fields) for n in range(3)]
    Step.objects.create(key="think#9", superseded=True, **fields)
    whole = Step.objects.create(key="think#3", large=large.pk, **fields)
    page = api.get(f"{RUNS}/{run.pk}/steps?limit=2").json()
    assert [step["outcome"] for step in page["items"]] == [{"n": 0}, {"n": 1}]
    rest = api.get(page["next"]).json()
    assert [step["id"] for step in rest["items"]] == [steps[2].pk, whole.pk]
    assert (rest["items"][-1]["is_large"], rest["items"][-1]["outcome"], rest["next"]) == (True, None, None)
    assert len(api.get(f"{RUNS}/{run.pk}/steps?superseded=true").json()["items"]) == 5
    assert api.get(f"{RUNS}/{run.pk}/steps/{whole.pk}").json()["outcome"] == {"text": "long"}
    assert api.get(f"{RUNS}/{make_run(workspace).pk}/steps/{whole.pk}").status_code == 404


def test_gives_events_by_pages(api: Client, workspace: Workspace) -> None:
    run = make_run(workspace)
    add_events(run, "run_queued", "run_started", "progress", name="x")
    page = api.get(f"{RUNS}/{run.pk}/events?limit=2").json()
    assert [event["number"] for event in page["items"]] == [1, 2]
    assert page["items"][0] | {"at": ""} == {"number": 1, "kind": "run_queued", "at": "", "data": {"name": "x"}}
    rest = api.get(page["next"]).json()
    assert ([event["number"] for event in rest["items"]], rest["next"]) == ([3], None)
    assert api.get(f"{RUNS}/{run.pk}/events?after=3").json() == {"items": [], "next": None}


def test_who_left_the_workspace_starts_nothing(workspace: Workspace, client: Client) -> None:
    from tests.factories import make_token

    user = make_user(workspace)
    token = make_token(workspace, user)
    user.memberships.all().delete()
    response = client.get(RUNS, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
