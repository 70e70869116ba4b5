"""Agents, documents, workers and the caller over the API, and the API's own description."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from agents.models import Document, Workspace
from tests.factories import make_agent, make_worker, make_workspace

pytestmark = pytest.mark.django_db

DOCUMENTS = "/api/v1/documents"


def test_tells_the_caller_who_it_is(api: Client, workspace: Workspace) -> None:
    me = api.get("/api/v1/me").json()
    assert (me["workspace"], me["role"], me["scopes"]) == (workspace.slug, "member", ["read", "write"])


def test_gives_the_agents_of_the_workspace(api: Client, workspace: Workspace) -> None:
    make_agent(workspace, "reader", tools=["web_fetch"], instructions="Read.")
    make_agent(make_workspace(), "foreign")
    assert [agent["name"] for agent in api.get("/api/v1/agents").json()["items"]] == ["reader"]
    agent = api.get("/api/v1/agents/reader").json()
    assert (agent["version"], agent["tools"], agent["instructions"]) == (1, ["web_fetch"], "Read.")
    assert api.get("/api/v1/agents/foreign").status_code == 404


def test_gives_the_workers_that_live(api: Client) -> None:
    make_worker(name="one")
    make_worker(name="two", state="dead")
    assert [worker["name"] for worker in api.get("/api/v1/workers").json()["items"]] == ["one"]


def test_documents_are_added_found_and_removed(api: Client, workspace: Workspace) -> None:
    text = "Parcels may be returned within thirty days."
    added = api.post(DOCUMENTS, {"title": "Returns", "text": text}, content_type="application/json")
    assert added.status_code == 201
    assert api.get(added["Location"]).json()["text"] == text
    assert [document["title"] for document in api.get(DOCUMENTS).json()["items"]] == ["Returns"]
    found = api.get(f"{DOCUMENTS}/search?q=returned parcels").json()["items"]
    assert [(passage["document"], passage["title"]) for passage in found] == [(added.json()["id"], "Returns")]
    assert text[found[0]["start"] : found[0]["end"]] == found[0]["text"]
    assert api.delete(added["Location"]).status_code == 204
    assert api.get(added["Location"]).status_code == 404


@pytest.mark.fault(46)
def test_documents_are_bounded_and_of_one_workspace(api: Client) -> None:
    large = {"title": "x", "text": "word " * 1_100_000}
    assert api.post(DOCUMENTS, large, content_type="application/json").status_code == 400
    assert api.post(DOCUMENTS, {"text": "a" * 6 * 2**20}, content_type="application/json").status_code == 413
    assert api.post(DOCUMENTS, {"text": "a", "url": "javascript:x"}, content_type="application/json").status_code == 400
    assert api.post(DOCUMENTS, {"title": "x"}, content_type="application/json").json()["errors"].keys() == {"text"}
    foreign = Document.objects.create(workspace=make_workspace(), title="x", text="x", size=1, digest="x")
    assert api.get(f"{DOCUMENTS}/{foreign.pk}").status_code == 404
    assert api.delete(f"{DOCUMENTS}/{foreign.pk}").status_code == 404
    assert Document.objects.filter(pk=foreign.pk).exists()


def test_the_description_is_sound() -> None:
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    for word in ("start_run", "Idempotency-Key", "text/event-stream", "bearer"):
        assert word in out.getvalue()


def test_the_description_and_its_page_are_public_and_run_nothing_inline(client: Client) -> None:
    assert client.get("/api/schema").status_code == 200
    page = client.get("/api/docs")
    assert page.status_code == 200
    assert "script-src" not in page["Content-Security-Policy"]
    assert b"/static/drf_spectacular_sidecar/" in page.content
    assert client.get("/api/docs?script=").status_code == 200
