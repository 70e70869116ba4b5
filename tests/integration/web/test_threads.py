"""The pages of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from tests.integration.web.conftest import As

if TYPE_CHECKING:
    from agents.models import Run, Workspace


def test_a_thread_is_begun_and_goes_on(as_: As, finished: Run, workspace: Workspace) -> None:
    from agents.models import Run, Thread

    member = as_("member")
    assert "No thread yet" in as_("viewer").get("/w/team/threads/").content.decode()
    form = {"agent": "researcher", "title": "Lamps <b>", "policy": "enqueue", "text": "Why?"}
    for wrong in ({"agent": "nobody"}, {"text": ""}, {"policy": "shout"}):
        assert member.post("/w/team/threads/start/", {**form, **wrong}).status_code == 422
    assert not Thread.objects.exists()
    address = member.post("/w/team/threads/start/", form)["Location"]
    thread = Thread.objects.get()
    assert address == f"/w/team/threads/{thread.pk}/"
    assert "Lamps &lt;b&gt;" in member.get("/w/team/threads/").content.decode()
    run = Run.objects.get(source="thread")
    page = member.get(address).content.decode()
    assert 'hx-trigger="every 2s"' in page
    assert f"/w/team/runs/{run.pk}/" in page
    # Its answer appears with links to the run's own steps; then there is nothing to wait for.
    run.status, run.finished_at, run.output = "succeeded", timezone.now(), finished.output
    run.save()
    part = member.get(address, headers={"HX-Target": "thread-messages"}).content.decode()
    assert "<strong>Because</strong>" in part
    assert f'href="/w/team/runs/{run.pk}/?step=tool%3Asearch%230"' in part
    assert "hx-trigger" not in part
    assert "<html" not in part
    said = {"text": "And then?", "key": "k"}
    for _ in range(2):
        assert member.post(f"{address}say/", said)["Location"] == f"{address}#say"
    assert thread.messages.count() == 2
    assert member.post(f"{address}change/", {"policy": "reject"}).status_code == 302
    refused = member.post(f"{address}say/", {"text": "Now?"}, follow=True).content.decode()
    assert "An earlier message is still at work" in refused
    assert 'id="message-1"' not in member.get(address, {"before": "1"}).content.decode()


@pytest.mark.fault(35)
def test_a_thread_of_another_workspace_does_not_exist(as_: As, workspace: Workspace) -> None:
    from agents.services.threads import create_thread
    from tests.factories import make_agent, make_workspace

    other = make_workspace()
    theirs = create_thread(workspace=other, agent=make_agent(other, "theirs"), by=None)
    assert as_("admin").get(f"/w/team/threads/{theirs.pk}/").status_code == 404
    for path in ("say/", "change/"):
        assert as_("admin").post(f"/w/team/threads/{theirs.pk}/{path}", {"text": "x"}).status_code == 404
