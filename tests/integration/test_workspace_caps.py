"""The caps of a workspace: set by page and API, shown with their use, and heeded by what starts afterwards."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from agents.engine import admission
from agents.models import Role, Run, RunPermit, Scope, Wait, Workspace
from agents.services.runs import start_run
from agents.services.waits import describe_waits
from tests.factories import make_agent, make_client, make_run, make_token, make_user, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def space() -> Workspace:
    return make_workspace("team")


def client_of(space: Workspace, role: Role) -> Client:
    client = Client()
    client.force_login(make_user(space, role))
    return client


def test_administrators_set_caps_on_the_page(space: Workspace) -> None:
    admin, member = client_of(space, Role.ADMIN), client_of(space, Role.MEMBER)
    assert "Set caps" in admin.get("/w/team/limits/").content.decode()
    assert "Set caps" not in member.get("/w/team/limits/").content.decode()
    assert member.post("/w/team/limits/caps/", {"max_running": "1"}).status_code == 403
    for bad in ({"max_running": "0"}, {"usd": "-1"}, {"steps": "1.5"}, {"usd": "nan"}):
        assert admin.post("/w/team/limits/caps/", bad).status_code == 422
    assert admin.post("/w/team/limits/caps/", {"max_running": "3", "usd": "0.5", "depth": "0"}).status_code == 302
    space.refresh_from_db()
    assert (space.max_running, space.caps) == (3, {"usd": 0.5, "depth": 0})
    assert "0 of 3 running" in member.get("/w/team/limits/").content.decode()
    assert start_run(workspace=space, workflow="react", input="x").budget == {"usd": 0.5, "depth": 0}


def test_the_api_sets_them_and_tells_who_waits(space: Workspace) -> None:
    person = make_user(space, Role.ADMIN)
    api = make_client(make_token(space, person, scopes=[Scope.READ, Scope.ADMIN]))
    assert api.get("/api/v1/caps").json() == {"caps": {}, "max_running": None, "running": []}
    for bad in ({"max_running": 0}, {"steps": -1}, {"pages": 1}, {"usd": "many"}):
        assert api.put("/api/v1/caps", bad, content_type="application/json").status_code == 400
    answer = api.put("/api/v1/caps", {"max_running": 2, "tokens": 9}, content_type="application/json")
    assert (answer.status_code, answer.json()["caps"], answer.json()["max_running"]) == (200, {"tokens": 9}, 2)
    agent = make_agent(space, "reader", caps={"max_running": 1})
    group = admission.group_of(space.pk, agent.pk, {"max_running": 1}, None)
    running = make_run(space, status="running", epoch=1)
    assert admission.admit([admission.Asking(running.pk, 1, group, "reader")]) == {}
    waiting = make_run(space)
    words = "1 of 1 runs of agent reader are running"
    Wait.objects.create(run=waiting, kind="place", name=group.name, key=words)
    told = api.get("/api/v1/caps").json()["running"]
    assert [(cap["agent"], cap["words"]) for cap in told] == [
        ("", "1 of 2 running, 1 waits"),
        ("reader", "1 of 1 running, 1 waits"),
    ]
    (wait,) = describe_waits(waiting, timezone.now())
    assert (wait.name, wait.words) == (words, f"waiting: {words}")
    page = client_of(space, Role.MEMBER).get(f"/w/team/runs/{waiting.pk}/").content.decode()
    assert f"a place among the running runs: {words}" in page
    # A run that has left holds nothing, though its permit is still there.
    type(running).objects.filter(pk=running.pk).update(status="waiting", worker=None)
    assert RunPermit.objects.count() == 1
    assert api.get("/api/v1/caps").json()["running"][0]["running"] == 0
    other = make_client(make_token(make_workspace(), scopes=[Scope.READ]))
    assert other.get("/api/v1/caps").json()["running"] == []


def test_a_run_is_started_with_a_budget_from_the_pages(space: Workspace) -> None:
    make_agent(space, "reader")
    member = client_of(space, Role.MEMBER)
    form = {"goal": "Read.", "agent": "reader", "budget-usd": "0.25", "budget-tokens": "900"}
    for path in ("/w/team/start/", "/w/team/agents/reader/start/"):
        assert member.post(path, {**form, "value-goal": "Read."}).status_code == 302
    assert [run.budget for run in Run.objects.all()] == [{"tokens": 900, "usd": 0.25}] * 2
    assert "budget-usd" in member.get("/w/team/agents/reader/").content.decode()
    assert member.post("/w/team/start/", {**form, "budget-usd": "-1"}).status_code == 422
    refused = member.post("/w/team/agents/reader/start/", {**form, "budget-usd": "-1"}, follow=True)
    assert "The budget can&#x27;t be used. US dollars:" in refused.content.decode()
    assert Run.objects.count() == 2
