"""Tools and limits as people and programs see them: over the API, on the pages, in the administration."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Role, Step, User, Wait, Workspace
from tests.factories import make_client, make_run, make_token, make_user, make_workspace
from tools.limits import store
from tools.models import Limit, LimitClock, LimitPause, LimitTicket
from tools.registry import registry

pytestmark = pytest.mark.django_db

LIMITS = "/api/v1/limits"


@pytest.fixture
def space() -> Workspace:
    return make_workspace("team")


@pytest.fixture
def manager(space: Workspace) -> Client:
    return make_client(make_token(space, make_user(space, Role.ADMIN), scopes=["read", "write", "admin"]))


def page(space: Workspace, role: Role) -> Client:
    client = Client()
    client.force_login(make_user(space, role))
    return client


def send(client: Client, method: str, path: str, **body: Any) -> Any:
    return client.generic(method, path, json.dumps(body), content_type="application/json")


def test_each_tool_is_shown_with_all_that_it_declares(space: Workspace, manager: Client) -> None:
    shown = {tool["name"]: tool for tool in manager.get("/api/v1/tools").json()["items"]}
    assert set(shown) == {tool.name for tool in registry}
    fetch = manager.get("/api/v1/tools/web_fetch").json()
    assert fetch == shown["web_fetch"]
    assert (fetch["effect"], fetch["trust"], fetch["kind"]) == ("none", "untrusted", "search")
    assert fetch["limits"] == ["tool:web_fetch", "the host of the address, as host:…"]
    assert fetch["parameters"]["properties"]["url"]
    words = {said["what"]: said["words"] for said in fetch["in_words"]}
    assert words["Time"] == "At most 2 minutes for each attempt."
    assert words["Results"] == "Serve equal calls of the same workspace for 1 minute."
    assert manager.get("/api/v1/tools/no_such").status_code == 404
    viewer = page(space, Role.VIEWER)
    assert "web_fetch" in viewer.get("/w/team/tools/").content.decode()
    told = viewer.get("/w/team/tools/web_fetch/").content.decode()
    assert all(said["words"].split("`")[0] in told.replace("&#x27;", "'") for said in fetch["in_words"])


def test_a_limit_is_made_changed_and_removed_over_the_api(manager: Client) -> None:
    made = send(manager, "POST", LIMITS, name="host:*", amount=20, period=1, note="politely")
    assert made.status_code == 201
    assert (made.json()["words"], made.json()["use"]["words"], made.json()["shared"]) == (
        "20 calls in 1 s",
        "free",
        False,
    )
    changed = send(manager, "PUT", made["Location"], name="host:*", at_once=3)
    assert changed.json()["words"] == "3 at once"
    assert manager.get(made["Location"]).json() == changed.json()
    assert send(manager, "DELETE", made["Location"]).status_code == 204
    assert manager.get(LIMITS).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "host:x"}, "amount"),
        ({"name": "two words", "amount": 1}, "name"),
        ({"name": "a*b", "amount": 1}, "name"),
        ({"name": "host:x", "amount": 0}, "amount"),
        ({"name": "host:x", "amount": 1, "period": 0.5}, "period"),
        ({"name": "taken", "amount": 1}, "name"),
        ({"name": "host:x", "amount": 1, "unit": "pages"}, "unit"),
    ],
)
def test_what_is_no_limit_is_refused(space: Workspace, manager: Client, body: dict[str, Any], field: str) -> None:
    Limit.objects.create(workspace=space, name="taken", amount=2)
    answer = send(manager, "POST", LIMITS, **body)
    assert answer.status_code in (400, 422)
    assert field in answer.content.decode()
    assert Limit.objects.count() == 1


def test_those_of_the_instance_are_seen_and_left_alone_and_those_of_others_not_there(
    space: Workspace, manager: Client
) -> None:
    shared = Limit.objects.create(name="llm:x", amount=5)
    other = Limit.objects.create(workspace=make_workspace(), name="host:secret", amount=5)
    assert [limit["name"] for limit in manager.get(LIMITS).json()["items"]] == ["llm:x"]
    for method in ("PUT", "DELETE"):
        assert send(manager, method, f"{LIMITS}/{shared.pk}", name="x", amount=1).status_code == 403
        assert send(manager, method, f"{LIMITS}/{other.pk}", name="x", amount=1).status_code == 404
    admin = page(space, Role.ADMIN)
    assert admin.get(f"/w/team/limits/{shared.pk}/").status_code == 403
    assert admin.post(f"/w/team/limits/{shared.pk}/remove/").status_code == 403
    assert admin.post(f"/w/team/limits/{other.pk}/remove/").status_code == 404
    assert Limit.objects.count() == 2


def test_the_use_of_a_limit_is_told(space: Workspace, manager: Client) -> None:
    limit = Limit.objects.create(workspace=space, name="host:*", amount=1)
    now = store.database_time()
    clock = LimitClock.objects.create(limit=limit, key="host:x", next_at=now + 90.5)
    ticket = {"workspace": space, "run_id": make_run(space).pk, "step_key": "tool:x#0", "rank": 1.0, "due": now + 90}
    LimitTicket.objects.create(clock=clock, **ticket)
    LimitPause.objects.create(key="host:y", until=now + 60.5)
    LimitPause.objects.create(key="llm:z", until=now + 600)
    use = manager.get(f"{LIMITS}/{limit.pk}").json()["use"]
    assert use["waiting"] == 1
    assert 80 < use["next_in"] < 91
    assert 50 < use["paused_for"] < 61
    assert "1 waiting" in page(space, Role.VIEWER).get("/w/team/limits/").content.decode()


def test_administrators_set_limits_on_the_page(space: Workspace) -> None:
    admin = page(space, Role.ADMIN)
    form = {"name": "cpu", "at_once": "2", "period": "1", "burst": "1", "unit": "calls"}
    assert admin.post("/w/team/limits/add/", form).status_code == 302
    limit = Limit.objects.get(workspace=space)
    assert (limit.name, limit.at_once, limit.amount) == ("cpu", 2, None)
    wrong = admin.post("/w/team/limits/add/", {**form, "at_once": ""})
    assert wrong.status_code == 422
    assert "how many" in wrong.content.decode()
    assert 'value="cpu"' in admin.get(f"/w/team/limits/{limit.pk}/").content.decode()
    assert admin.post(f"/w/team/limits/{limit.pk}/", {**form, "at_once": "4"}).status_code == 302
    limit.refresh_from_db()
    assert limit.at_once == 4
    assert "Add a limit" not in page(space, Role.MEMBER).get("/w/team/limits/").content.decode()
    assert admin.post(f"/w/team/limits/{limit.pk}/remove/").status_code == 302
    assert not Limit.objects.exists()


def test_the_operator_sets_limits_for_all(space: Workspace) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="not-the-usual-one"))
    form = {"name": "llm:*", "amount": "9", "period": "1", "burst": "1", "unit": "calls"}
    assert client.post("/admin/tools/limit/add/", form).status_code == 302
    assert Limit.objects.get().workspace is None
    assert client.post("/admin/tools/limit/add/", {**form, "name": "two words"}).status_code == 200
    assert Limit.objects.count() == 1
    assert "9 calls in 1 s" in client.get("/admin/tools/limit/").content.decode()


def test_a_run_says_which_limit_it_waits_for_and_until_when(space: Workspace, manager: Client) -> None:
    run = make_run(space, status="waiting", reason="waiting: limit host:example.org")
    due = timezone.now() + timedelta(seconds=12)
    Wait.objects.create(run=run, kind="slot", key="tool:x#0", name="host:example.org", due_at=due)
    (wait,) = manager.get(f"/api/v1/runs/{run.pk}").json()["waits"]
    assert (wait["kind"], wait["name"]) == ("slot", "host:example.org")
    assert wait["words"] in [f"waiting: limit host:example.org, expected in {seconds} s" for seconds in (12, 11, 10)]
    shown = page(space, Role.VIEWER).get(f"/w/team/runs/{run.pk}/").content.decode()
    assert "waiting: limit host:example.org, expected in 1" in shown


def test_a_step_that_an_equal_call_has_served_says_so(space: Workspace, manager: Client) -> None:
    run = make_run(space, status="succeeded")
    at = {"started_at": timezone.now(), "finished_at": timezone.now(), "status": "succeeded", "name": "look"}
    for key, cached in (("tool:look#0", {}), ("tool:look#1", {"cached": True})):
        Step.objects.create(run=run, key=key, kind="tool", outcome={"role": "tool", "text": "x", **cached}, **at)
    items = manager.get(f"/api/v1/runs/{run.pk}/steps").json()["items"]
    assert [step["cached"] for step in items] == [False, True]
    viewer = page(space, Role.VIEWER)
    shown = [viewer.get(f"/w/team/runs/{run.pk}/?step=tool%3Alook%23{number}").content.decode() for number in (0, 1)]
    assert ["cached</span>" in text for text in shown] == [False, True]
