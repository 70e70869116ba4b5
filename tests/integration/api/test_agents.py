"""Agents over the API: from a draft to a run of a version, and what is said when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent, Role, Scope, Workspace
from tests.factories import make_agent, make_client, make_token, make_user, make_workspace

pytestmark = pytest.mark.django_db

AGENTS = "/api/v1/agents"
JSON = "application/json"
TOPIC = {"type": "object", "required": ["topic"], "properties": {"topic": {"type": "string", "minLength": 3}}}


@pytest.fixture
def manager(workspace: Workspace) -> Client:
    """A client with an administrator's token."""
    user = make_user(workspace, Role.ADMIN)
    return make_client(make_token(workspace, user, scopes=[Scope.READ, Scope.WRITE, Scope.ADMIN]))


def send(client: Client, method: str, path: str, body: Any = None) -> Any:
    answer = client.generic(method, path, data="" if body is None else json.dumps(body), content_type=JSON)
    return answer.status_code, answer.json() if answer.content else None


def test_from_a_draft_to_two_versions(manager: Client, api: Client) -> None:
    status, draft = send(manager, "POST", AGENTS, {"name": "reader", "workflow": "api_echo", "input_schema": TOPIC})
    assert (status, draft["revision"], draft["problems"]) == (201, 1, [])
    assert send(api, "POST", "/api/v1/runs", {"agent": "reader"})[0] == 400

    status, draft = send(
        manager, "PATCH", f"{AGENTS}/reader/draft", {"revision": 1, "instructions": "On {{ topic }}", "tools": ["rm"]}
    )
    assert (status, [problem["field"] for problem in draft["problems"]]) == (200, ["tools"])
    status, problem = send(manager, "POST", f"{AGENTS}/reader/publish", {"revision": 2})
    assert (status, set(problem["errors"])) == (400, {"tools"})
    assert send(manager, "PATCH", f"{AGENTS}/reader/draft", {"revision": 1, "tools": []})[0] == 409
    assert send(manager, "PATCH", f"{AGENTS}/reader/draft", {"revision": 2, "tools": []})[0] == 200
    status, version = send(manager, "POST", f"{AGENTS}/reader/publish", {"revision": 3, "note": "First"})
    assert (status, version["number"], version["is_current"], version["note"]) == (201, 1, True, "First")

    revision = send(api, "GET", f"{AGENTS}/reader/draft")[1]["revision"]
    send(manager, "PATCH", f"{AGENTS}/reader/draft", {"revision": revision, "description": "Better."})
    changes = send(api, "GET", f"{AGENTS}/reader/diff?before=1&after=draft")[1]["changes"]
    assert [(change["field"], change["after"]) for change in changes] == [("description", "Better.")]
    send(manager, "POST", f"{AGENTS}/reader/publish", {"revision": revision + 1})
    listed = send(api, "GET", f"{AGENTS}/reader/versions?limit=1")[1]
    assert [item["number"] for item in listed["items"]] == [2]
    assert [item["number"] for item in send(api, "GET", listed["next"])[1]["items"]] == [1]
    assert send(api, "GET", f"{AGENTS}/reader/versions/1")[1]["definition"]["description"] == ""


@pytest.fixture
def started(api: Client) -> Callable[..., tuple[int, Any]]:
    """Start the reader; gives the version that runs, or the fields that are wrong."""

    def start(**body: Any) -> tuple[int, Any]:
        status, run = send(api, "POST", "/api/v1/runs", {"agent": "reader", "input": {"topic": "tides"}, **body})
        return status, run.get("agent_version") or sorted(run.get("errors", {}))

    return start


def test_a_run_takes_the_current_version_or_the_one_it_names(
    manager: Client, workspace: Workspace, started: Callable[..., tuple[int, Any]]
) -> None:
    make_agent(workspace, "reader", workflow="api_echo", input_schema=TOPIC)
    revision = send(manager, "GET", f"{AGENTS}/reader/draft")[1]["revision"]
    send(manager, "PATCH", f"{AGENTS}/reader/draft", {"revision": revision, "description": "Better."})
    assert send(manager, "POST", f"{AGENTS}/reader/publish", {"revision": revision + 1})[1]["number"] == 2
    assert started() == (202, 2)
    assert started(version=1) == (202, 1)
    assert started(agent="reader@1") == (202, 1)
    assert started(agent="reader@1", version=2) == (400, ["version"])
    assert started(agent="reader@x") == (400, ["agent"])
    assert started(version=7)[0] == 404
    assert started(input={"topic": "x"}) == (400, ["input.topic"])
    assert started(input="tides") == (400, ["input"])
    assert send(manager, "POST", f"{AGENTS}/reader/rollback", {"version": 1})[1]["version"] == 1
    assert started() == (202, 1)


def test_an_agent_that_is_put_away_starts_no_runs(
    manager: Client, api: Client, workspace: Workspace, started: Callable[..., tuple[int, Any]]
) -> None:
    make_agent(workspace, "reader", workflow="api_echo", input_schema=TOPIC)
    assert send(manager, "POST", f"{AGENTS}/reader/archive")[1]["archived_at"]
    assert send(api, "GET", AGENTS)[1]["items"] == []
    assert [item["name"] for item in send(api, "GET", f"{AGENTS}?archived=true")[1]["items"]] == ["reader"]
    assert started()[0] == 404
    assert send(manager, "POST", f"{AGENTS}/reader/unarchive")[1]["archived_at"] is None
    assert started() == (202, 1)


def test_exported_and_read_in(manager: Client, api: Client, workspace: Workspace) -> None:
    make_agent(workspace, "reader", instructions="Read.\nTell.\n", tools=["web_fetch"])
    answer = api.get(f"{AGENTS}/reader/export")
    assert answer["Content-Type"] == "application/yaml; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="reader.yaml"'
    text = answer.content.decode()
    assert "instructions: |\n  Read.\n  Tell.\n" in text
    assert api.get(f"{AGENTS}/reader/export?version=1").content.decode() == text
    assert api.get(f"{AGENTS}/reader/export?version=x").status_code == 400

    changed = text.replace("Tell.", "Ask.")
    status, preview = send(manager, "POST", f"{AGENTS}/import", {"yaml": changed, "preview": True})
    assert (status, preview["is_new"], preview["revision"]) == (200, False, 0)
    assert [(line["mark"], line["text"]) for line in preview["changes"][0]["lines"]][-2:] == [
        ("-", "Tell."),
        ("+", "Ask."),
    ]
    assert send(manager, "POST", f"{AGENTS}/import", {"yaml": changed})[0] == 409
    status, draft = send(manager, "POST", f"{AGENTS}/import", {"yaml": changed, "revision": preview["revision"]})
    assert (status, draft["is_changed"], draft["definition"]["instructions"]) == (201, True, "Read.\nAsk.\n")
    assert send(api, "GET", f"{AGENTS}/reader")[1]["instructions"] == "Read.\nTell.\n"
    status, problem = send(manager, "POST", f"{AGENTS}/import", {"yaml": "agentsite: agent/1\nname: x\nmodle: y\n"})
    assert (status, problem["errors"]) == (400, {"modle": ["There is no such field."]})
    assert send(manager, "DELETE", f"{AGENTS}/reader/draft")[0] == 204
    assert not send(api, "GET", f"{AGENTS}/reader/draft")[1]["is_changed"]


def test_an_agent_without_a_version_is_shown_as_its_draft(manager: Client, api: Client) -> None:
    send(manager, "POST", AGENTS, {"name": "coming", "instructions": "Soon."})
    shown = send(api, "GET", f"{AGENTS}/coming")[1]
    assert (shown["version"], shown["instructions"]) == (None, "Soon.")
    assert api.get(f"{AGENTS}/coming/export").status_code == 404
    assert "Soon." in api.get(f"{AGENTS}/coming/export?version=draft").content.decode()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "colour": "red"}, "colour"),
        ({"name": "x", "caps": {"steps": 0}}, "caps.steps"),
        ({}, "name"),
        ([], "body"),
        ({"name": "new"}, "name"),
    ],
)
def test_what_is_wrong_is_named(manager: Client, body: Any, field: str) -> None:
    status, problem = send(manager, "POST", AGENTS, body)
    assert (status, list(problem["errors"])) == (400, [field])
    assert not Agent.objects.exists()


@pytest.mark.parametrize("revision", [None, "1", -1, True, 2**40, 1.5])
def test_a_save_names_what_it_has_seen(manager: Client, revision: Any) -> None:
    send(manager, "POST", AGENTS, {"name": "x"})
    assert list(send(manager, "PATCH", f"{AGENTS}/x/draft", {"revision": revision})[1]["errors"]) == ["revision"]


@pytest.mark.fault(35)
def test_agents_of_other_workspaces_do_not_exist(manager: Client) -> None:
    make_agent(make_workspace(), "foreign")
    for method, path in (
        *(("GET", f"{AGENTS}/foreign{rest}") for rest in ("", "/draft", "/versions", "/versions/1", "/export")),
        ("GET", f"{AGENTS}/foreign/diff?before=1&after=1"),
        ("PATCH", f"{AGENTS}/foreign/draft"),
        ("DELETE", f"{AGENTS}/foreign/draft"),
        *(("POST", f"{AGENTS}/foreign/{verb}") for verb in ("publish", "rollback", "archive", "unarchive")),
    ):
        body = (
            {"revision": 0, "version": 1}
            if method in ("PATCH",)
            else {"publish": {"revision": 0}, "rollback": {"version": 1}}.get(path.rpartition("/")[2])
        )
        assert send(manager, method, path, body)[0] == 404, (method, path)
    assert send(manager, "POST", "/api/v1/runs", {"agent": "foreign"})[0] == 404
