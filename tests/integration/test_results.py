"""How far a map has come and what has become of its inputs, as the API and the pages show it meanwhile."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Role, Run, RunEvent, Step, Workspace
from tests.factories import make_client, make_run, make_token, make_user, make_workspace

pytestmark = pytest.mark.django_db

OUTPUTS = {0: {"text": "Yes <b>."}, 1: 7, 2: None, 3: None}


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def run(workspace: Workspace) -> Run:
    """A map over five inputs: two are done, one has failed and is tried again, one runs, one has not begun."""
    run = make_run(workspace, workflow="map")
    for number, done in enumerate((0, 2), 1):
        told = {"name": "map", "data": {"done": done, "failed": 0, "of": 5}}
        RunEvent.objects.create(run=run, number=number, kind="progress", at=timezone.now(), data=told)
    Step.objects.create(
        run=run, key="each:clerk#0/window#0", kind="each", name="clerk", status="running", started_at=timezone.now()
    )
    for number, status in enumerate(("succeeded", "succeeded", "failed", "waiting")):
        below(run, f"each:clerk#0/{number:06d}/call", status, OUTPUTS[number])
    below(run, "each:clerk#1/000002/call", "queued", None)
    # Another sub-run, that has nothing to do with the inputs.
    below(run, "call:clerk#0", "succeeded", "no input of mine")
    return run


def below(run: Run, key: str, status: str, output: object) -> Run:
    error = {"type": "Bad", "message": "It is bad."} if status == "failed" else None
    return make_run(run.workspace, parent=run, root=run, parent_key=key, status=status, output=output, error=error)


def test_the_api_tells_results_meanwhile(workspace: Workspace, run: Run) -> None:
    api = make_client(make_token(workspace))
    address = f"/api/v1/runs/{run.pk}/results"
    told = api.get(address).json()
    assert told["inputs"] == 5
    assert told["counts"] == {"succeeded": 2, "failed": 1, "waiting": 1, "queued": 1}
    assert [(item["number"], item["status"], item["output"]) for item in told["items"]] == [
        (0, "succeeded", {"text": "Yes <b>."}),
        (1, "succeeded", 7),
        (2, "failed", None),
        (3, "waiting", None),
        (2, "queued", None),
    ]
    assert told["items"][2]["error"] == {"type": "Bad", "message": "It is bad."}
    assert api.get(address, {"status": "failed"}).json()["items"] == [told["items"][2]]
    assert api.get(address, {"status": "odd"}).json()["errors"].keys() == {"status"}
    page, pages = api.get(address, {"limit": 2}).json(), []
    while True:
        pages.append([item["number"] for item in page["items"]])
        if page["next"] is None:
            break
        page = api.get(page["next"]).json()
    assert pages == [[0, 1], [2, 3], [2]]
    silent = make_run(workspace)
    assert api.get(f"/api/v1/runs/{silent.pk}/results").json() == {
        "inputs": None, "counts": {}, "items": [], "next": None,
    }  # fmt: skip


@pytest.mark.fault(35)
def test_results_of_another_workspace_do_not_exist(run: Run) -> None:
    elsewhere = make_workspace()
    assert make_client(make_token(elsewhere)).get(f"/api/v1/runs/{run.pk}/results").status_code == 404


def test_the_pages_show_progress_and_results(workspace: Workspace, run: Run) -> None:
    viewer = Client()
    viewer.force_login(make_user(workspace, Role.VIEWER))
    base = f"/w/{workspace.slug}/runs/{run.pk}/"
    said = "2 of 5 done, 1 failed, 2 under way"
    page = viewer.get(base).content.decode()
    assert said in page
    assert f'href="{base}results/"' in page
    page = viewer.get(f"{base}results/").content.decode()
    assert said in page
    assert "Yes &lt;b&gt;." in page
    assert "It is bad." in page
    assert "no input of mine" not in page
    chosen = viewer.get(f"{base}results/", {"status": "failed"}).content.decode()
    assert "It is bad." in chosen
    assert "Yes" not in chosen
    last = Run.objects.get(parent_key="each:clerk#1/000002/call").pk
    assert "Nothing here" in viewer.get(f"{base}results/", {"after": str(last)}).content.decode()
    assert viewer.get(f"{base}results/", {"after": "nonsense"}).status_code == 200
    # A run without windows is not asked for any.
    assert "Inputs" not in viewer.get(f"/w/{workspace.slug}/runs/{make_run(workspace).pk}/").content.decode()
