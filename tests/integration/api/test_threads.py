"""Threads over the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from agents.models import Run, ThreadMessage, Workspace
from tests.factories import make_agent, make_workspace

THREADS = "/api/v1/threads"


def send(api: Client, method: str, path: str, body: Any, key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return getattr(api, method)(f"{THREADS}{path}", body, content_type="application/json", headers=headers)


@pytest.fixture
def thread(api: Client, workspace: Workspace) -> str:
    make_agent(workspace, "helper", workflow="api_echo")
    made = send(api, "post", "", {"agent": "helper", "title": "Lamps"})
    assert made.status_code == 201
    assert made["Location"] == f"{THREADS}/{made.json()['id']}"
    return f"/{made.json()['id']}"


def test_a_thread_is_begun_listed_and_changed(api: Client, thread: str) -> None:
    shown = api.get(f"{THREADS}{thread}").json()
    assert (shown["agent"], shown["title"], shown["policy"]) == ("helper", "Lamps", "enqueue")
    assert api.get(THREADS).json() == {"items": [shown], "next": None}
    assert send(api, "patch", thread, {"policy": "reject"}).json() == {**shown, "policy": "reject"}
    assert send(api, "patch", thread, {"policy": "shout"}).json()["errors"].keys() == {"policy"}
    assert send(api, "post", "", {"agent": "nobody"}).status_code == 404
    assert send(api, "post", "", {}).json()["errors"].keys() == {"agent"}


def test_messages_are_accepted_once_and_shown_with_their_runs(api: Client, thread: str) -> None:
    first = send(api, "post", f"{thread}/messages", {"text": "Which lamp?"}, "k")
    assert first.status_code == 202
    assert send(api, "post", f"{thread}/messages", {"text": "Which lamp?"}, "k").json()["number"] == 1
    assert send(api, "post", f"{thread}/messages", {"text": "Another."}, "k").status_code == 422
    second = send(api, "post", f"{thread}/messages", {"text": "And the red one?"}).json()
    assert (second["number"], second["run"]["status"]) == (2, "waiting")
    assert first["Location"] == f"/api/v1/runs/{first.json()['run']['id']}"
    page = api.get(f"{THREADS}{thread}/messages", {"limit": 1}).json()
    assert [message["number"] for message in page["items"]] == [2]
    assert [message["number"] for message in api.get(page["next"]).json()["items"]] == [1]
    waits = api.get(f"/api/v1/runs/{second['run']['id']}").json()["waits"]
    assert [wait["kind"] for wait in waits] == ["turn"]
    send(api, "patch", thread, {"policy": "reject"})
    assert send(api, "post", f"{thread}/messages", {"text": "Now?"}).status_code == 409
    assert send(api, "post", f"{thread}/messages", {"text": ""}).json()["errors"].keys() == {"text"}
    assert Run.objects.count() == ThreadMessage.objects.count() == 2


def test_a_thread_without_a_title_is_called_by_what_was_said_first(api: Client, thread: str) -> None:
    untitled = send(api, "post", "", {"agent": "helper"}).json()
    assert untitled["title"] == ""
    for path in (thread, f"/{untitled['id']}"):
        for text in ("Which\nlamp? " + "Say. " * 50, "Another?"):
            send(api, "post", f"{path}/messages", {"text": text})
    titles = [one["title"] for one in api.get(THREADS).json()["items"]]
    assert titles == [("Which lamp? " + "Say. " * 50)[:80], "Lamps"]


@pytest.mark.fault(35)
def test_threads_of_another_workspace_do_not_exist(api: Client, workspace: Workspace) -> None:
    from agents.services.threads import create_thread

    other = make_workspace()
    agent = make_agent(other, "theirs")
    theirs = create_thread(workspace=other, agent=agent, by=None)
    for method, path in (("get", ""), ("get", "/messages"), ("post", "/messages"), ("patch", "")):
        assert send(api, method, f"/{theirs.pk}{path}", {"text": "x"} if method == "post" else {}).status_code == 404
    assert send(api, "post", "", {"agent": "theirs"}).status_code == 404
