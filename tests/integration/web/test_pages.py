"""Every page, for those who may see it and for those who may not."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.integration.web.conftest import As

if TYPE_CHECKING:
    from agents.models import Run, Workspace

PAGES = ["", "runs/", "runs/?q=why&status=succeeded&period=day&tag=blue&agent=researcher", "runs/rows/?ids=x"]
PAGES += ["documents/", "documents/?find=so", "workers/"]
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=")


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_for_members(as_: As, finished: Run, page: str) -> None:
    for who in ("admin", "member", "viewer"):
        response = as_(who).get(f"/w/team/{page}")
        assert response.status_code == 200
        assert not INLINE.search(response.content.decode())
        assert "no-store" in response["Cache-Control"]
    assert as_("stranger").get(f"/w/team/{page}").status_code == 404
    assert as_("nobody").get(f"/w/team/{page}")["Location"].startswith("/login/?next=")


@pytest.mark.parametrize("page", ["", "?step=think%230", "?step=tool:search%230", "?step=none", "?all", "parts/"])
def test_a_run_is_shown_to_members(as_: As, finished: Run, page: str) -> None:
    response = as_("viewer").get(f"/w/team/runs/{finished.id}/{page}")
    assert response.status_code == 200
    assert not INLINE.search(response.content.decode())
    assert as_("stranger").get(f"/w/team/runs/{finished.id}/{page}").status_code == 404


def test_an_answer_is_cited_and_harmless(as_: As, finished: Run) -> None:
    client = as_("member")
    text = client.get(f"/w/team/runs/{finished.id}/").content.decode()
    assert "<strong>Because</strong>" in text
    assert 'href="?step=tool%3Asearch%230"' in text
    assert "Why &lt;b&gt;is&lt;/b&gt; it so?" in text
    step = client.get(f"/w/team/runs/{finished.id}/?step=tool:search%230").content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in step
    assert "untrusted content" in step
    assert "<dt>items</dt>" in step
    assert "Earlier attempts" in step


@pytest.mark.fault(35)
def test_a_run_of_another_workspace_does_not_exist(as_: As, workspace: Workspace) -> None:
    from tests.factories import make_run

    other = make_run()
    for path in ("", "parts/"):
        assert as_("admin").get(f"/w/team/runs/{other.id}/{path}").status_code == 404
    for path in ("cancel/", "pause/", "resume/", "retry/", "decide/"):
        assert as_("admin").post(f"/w/team/runs/{other.id}/{path}").status_code == 404


def test_filters_find_and_leave_out(as_: As, finished: Run) -> None:
    client = as_("viewer")
    for query, found in (
        ("q=Because", True),
        ("q=%22elsewhere%22", False),
        ("tag=blue", True),
        ("tag=blu", False),
        ("status=failed", False),
        ("agent=researcher", True),
        ("before=junk&status=junk&period=junk", True),
    ):
        text = client.get(f"/w/team/runs/?{query}").content.decode()
        assert (str(finished.id) in text) is found, query
    part = client.get("/w/team/runs/?status=failed", headers={"HX-Target": "runs-list"}).content.decode()
    assert "No run fits" in part
    assert "<html" not in part


def test_viewers_only_look(as_: As, finished: Run) -> None:
    client = as_("viewer")
    base = f"/w/team/runs/{finished.id}/"
    for path in (f"{base}cancel/", f"{base}pause/", f"{base}resume/", f"{base}retry/", f"{base}decide/"):
        assert client.post(path).status_code == 403
    assert client.post("/w/team/start/", {"goal": "x", "agent": "researcher"}).status_code == 403
    assert client.post("/w/team/documents/add/", {"text": "x"}).status_code == 403
    assert client.post("/w/team/documents/1/remove/").status_code == 403
    assert "data-control" not in client.get(base).content.decode()
    assert "<textarea" not in client.get("/w/team/").content.decode()


def test_tokens_are_for_admins(as_: As) -> None:
    from agents.models import AuthToken

    for who in ("member", "viewer"):
        assert as_(who).get("/w/team/settings/tokens/").status_code == 403
    client = as_("admin")
    made = client.post("/w/team/settings/tokens/", {"name": "ci", "scopes": ["read"], "days": "30"})
    assert made.status_code == 201
    token = AuthToken.objects.get()
    assert token.scopes == ["read"]
    secret = re.search(r'<code id="secret">([^<]+)<', made.content.decode())
    assert secret is not None
    assert secret[1] not in client.get("/w/team/settings/tokens/").content.decode()
    assert as_("stranger").post(f"/w/team/settings/tokens/{token.digest}/revoke/").status_code == 404
    assert client.post(f"/w/team/settings/tokens/{token.digest}/revoke/").status_code == 302
    assert not AuthToken.objects.exists()


def test_documents_are_added_by_file_and_by_text(as_: As, workspace: Workspace) -> None:
    from agents.models import Document

    client = as_("member")
    upload = SimpleUploadedFile("notes.md", "# Größe\nA walrus is large.".encode())
    assert client.post("/w/team/documents/add/", {"file": upload}).status_code == 302
    document = Document.objects.get()
    assert document.title == "notes"
    assert "walrus" in client.get("/w/team/documents/?find=walrus").content.decode()
    assert client.get(f"/w/team/documents/{document.pk}/").status_code == 200
    assert as_("stranger").get(f"/w/team/documents/{document.pk}/").status_code == 404
    for wrong in ({}, {"text": "  "}, {"text": "x", "url": "javascript:alert(1)"}):
        assert client.post("/w/team/documents/add/", wrong).status_code == 422
    binary = SimpleUploadedFile("x.bin", b"\xff\xfe\x00")
    assert client.post("/w/team/documents/add/", {"file": binary}).status_code == 422
    assert client.post(f"/w/team/documents/{document.pk}/remove/").status_code == 302
    assert not Document.objects.exists()


def test_a_goal_starts_a_run(as_: As, workspace: Workspace) -> None:
    from agents.models import Run
    from tests.factories import make_agent

    make_agent(workspace, "researcher")
    client = as_("member")
    assert client.post("/w/team/start/", {"goal": "", "agent": "researcher"}).status_code == 422
    assert client.post("/w/team/start/", {"goal": "x", "agent": "nobody"}).status_code == 422
    response = client.post("/w/team/start/", {"goal": "What is so?", "agent": "researcher"})
    run = Run.objects.get()
    address = response["Location"]
    assert address == f"/w/team/runs/{run.id}/"
    assert run.goal == "What is so?"
    page = client.get(address).content.decode()
    assert "In the queue" in page
    stopped = client.post(f"{address}cancel/", headers={"X-Requested-With": "fetch"}, follow=True)
    assert "Stopped" in stopped.content.decode()
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_a_question_is_put_to_members(as_: As, workspace: Workspace) -> None:
    from agents.models import Wait
    from tests.factories import make_run

    run = make_run(workspace, reason="workflow changed at think#0: reuse or run again?")
    Wait.objects.create(run=run, kind="changed", key="think#0", name="think#0")
    address = f"/w/team/runs/{run.id}/"
    assert "Use the recorded outcome" in as_("member").get(address).content.decode()
    assert "A member of the workspace can decide this" in as_("viewer").get(address).content.decode()
    assert as_("member").post(f"{address}decide/", {"key": "think#0", "choice": "burn"}).status_code == 400


def test_errors_name_the_request(client: Client, db: None) -> None:
    response = client.get("/nothing/here/")
    assert response.status_code == 404
    assert re.search(r"Request <code>[0-9a-f-]{36}</code>", response.content.decode())


def test_an_answer_with_a_form_is_shown_as_what_it_is(as_: As, finished: Run) -> None:
    value = {"why": "It **is** <b>so</b> [1]", "sure": True}
    finished.output = {**finished.output, "text": json.dumps(value), "value": value}
    finished.save(update_fields=["output"])
    page = as_("viewer").get(f"/w/team/runs/{finished.pk}/").content.decode()
    assert "It **is** &lt;b&gt;so&lt;/b&gt; [1]" in page
    assert "Handbook" in page
    assert 'id="answer-text"' in page


def test_a_change_of_model_stands_with_the_step(as_: As, finished: Run) -> None:
    step = finished.steps.get(key="think#0")
    failed = {"type": "ModelNotFound", "message": "There is none.", "number": 1, "model": "a:one", "next": "b:two"}
    step.attempts, step.attempt = [{**failed, "at": "2026-01-01T00:00:00Z"}], 2
    step.outcome = {**step.outcome, "model": "b:two"}
    step.save()
    page = as_("viewer").get(f"/w/team/runs/{finished.pk}/?step=think%230").content.decode()
    assert "a:one was asked; next b:two." in page
    assert "<dt>Model</dt><dd>b:two</dd>" in page


def test_a_summary_is_shown_with_what_it_was_made_of(as_: As, finished: Run) -> None:
    step = finished.steps.get(key="think#0")
    step.key, step.kind, step.label = "compact#0", "compact", "compact"
    step.outcome = {"text": "Notes of <b>it</b>.", "tool_calls": [], "model": "a:one"}
    step.save()
    page = as_("viewer").get(f"/w/team/runs/{finished.pk}/?step=compact%230").content.decode()
    assert "Notes of &lt;b&gt;it&lt;/b&gt;." in page
    assert "<dt>Model</dt><dd>a:one</dd>" in page
    assert '<span class="role">user</span><div class="said">Why?</div>' in page


def test_a_goal_is_given_to_a_version_and_agents_with_other_inputs_have_their_own_form(
    as_: As, workspace: Workspace
) -> None:
    from agents.models import Run
    from tests.factories import make_agent

    agent = make_agent(workspace, "researcher")
    agent.versions.create(number=2, workflow="react")
    other = make_agent(workspace, "sheet")
    schema = {"type": "object", "properties": {"questions": {"type": "array"}}}
    other.current = other.versions.create(number=2, workflow="react", input_schema=schema)
    other.save()
    client = as_("member")
    page = client.get("/w/team/?agent=researcher@2").content.decode()
    assert '<input type="radio" name="agent" value="researcher@2" checked>' in page
    assert 'value="sheet"' not in page
    response = client.post("/w/team/start/", {"goal": "What is so?", "agent": "researcher@2"})
    run = Run.objects.get()
    assert run.agent_version is not None
    assert (response.status_code, run.agent_version.number) == (302, 2)
    for wrong, said in (("researcher@9", "researcher has no version 9."), ("researcher@x", "named by its number")):
        refused = client.post("/w/team/start/", {"goal": "x", "agent": wrong})
        assert refused.status_code == 422
        assert said in refused.content.decode()
