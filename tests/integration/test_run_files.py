"""The files of runs, as programs, people and operators get them: whole, in part, and never anybody else's."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone

from agents.models import Artifact, Role, Run, Step, Workspace
from agents.services.artifacts import artifact_store, open_file
from agents.web.downloads import CHUNK, Download
from tests.factories import make_artifact, make_client, make_run, make_token, make_user, make_workspace

pytestmark = pytest.mark.django_db

CONTENT = b"0123456789" * 100_000
KEY = "gather#0/1/tool:web_fetch#0"


@pytest.fixture
def home() -> Workspace:
    return make_workspace("home")


@pytest.fixture
def run(home: Workspace) -> Run:
    return make_run(home, status="succeeded", output="done")


@pytest.fixture
def file(run: Run) -> Artifact:
    _step(run, KEY)
    return make_artifact(run, KEY, CONTENT, name="größe.html", media_type="text/html")


@pytest.fixture
def api(home: Workspace) -> Client:
    return make_client(make_token(home, make_user(home, Role.VIEWER), scopes=["read"]))


@pytest.fixture
def person(home: Workspace) -> Client:
    client = Client()
    client.force_login(make_user(home, Role.VIEWER))
    return client


def _step(run: Run, key: str, **overrides: Any) -> Step:
    began = timezone.now() - timedelta(seconds=1)
    fields = {"kind": "tool", "name": "web_fetch", "status": "succeeded", "outcome": {"text": "Words."}, **overrides}
    return Step.objects.create(run=run, key=key, **{"started_at": began, **fields})


def _address(file: Artifact, run: Run | None = None) -> str:
    return f"/api/v1/runs/{(run or file.run).pk}/artifacts/{file.pk}/content"


def _content(response: Any) -> bytes:
    assert response.streaming
    return b"".join(response)


def test_a_file_is_listed_and_downloaded_as_it_was_kept(api: Client, file: Artifact) -> None:
    listed = api.get(f"/api/v1/runs/{file.run_id}/artifacts").json()
    assert listed["next"] is None
    (item,) = listed["items"]
    assert (item["name"], item["size"], item["step"]) == ("größe.html", len(CONTENT), KEY)
    assert api.get(item["content"].removesuffix("/content")).json() == item
    answer = api.get(item["content"], headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert _content(answer) == CONTENT
    assert answer["Content-Length"] == str(len(CONTENT))


@pytest.mark.fault(42)
def test_a_browser_saves_what_is_downloaded_and_shows_none_of_it(
    api: Client, person: Client, file: Artifact, home: Workspace
) -> None:
    operator = Client()
    operator.force_login(make_user(is_staff=True, is_superuser=True))
    page = f"/w/{home.slug}/runs/{file.run_id}/files/{file.pk}/"
    admin = f"/admin/agents/artifact/{file.pk}/content/"
    for client, address in ((api, _address(file)), (person, page), (operator, admin)):
        answer = client.get(address)
        assert _content(answer) == CONTENT
        assert answer["Content-Type"] == "text/html; charset=utf-8"
        assert answer["Content-Disposition"] == "attachment; filename*=utf-8''gr%C3%B6%C3%9Fe.html"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("kind", ["text/html\r\nX-Evil: 1", "nonsense", "", "a/b/c", "text/ü"])
def test_what_is_no_media_type_is_bytes(api: Client, file: Artifact, kind: str) -> None:
    Artifact.objects.update(media_type=kind)
    answer = api.get(_address(file))
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/octet-stream")
    answer.close()


@pytest.mark.fault(35)
def test_files_are_those_of_the_run_and_the_workspace(api: Client, person: Client, file: Artifact) -> None:
    foreign = make_artifact(make_run(), "s#0")
    other = make_run(file.workspace)
    for address in (_address(foreign), _address(foreign, other), _address(file, other), _address(file, foreign.run)):
        for path in (address, address.removesuffix("/content")):
            assert api.get(path).status_code == 404, path
    assert api.get(f"/api/v1/runs/{file.run_id}/artifacts/{uuid4()}/content").status_code == 404
    home = f"/w/{file.workspace.slug}/runs"
    for path in (f"{foreign.run_id}/files/", f"{foreign.run_id}/files/{foreign.pk}/", f"{other.pk}/files/{file.pk}/"):
        assert person.get(f"{home}/{path}").status_code == 404, path
    assert api.get(f"/api/v1/runs/{other.pk}/artifacts").json()["items"] == []


@pytest.mark.parametrize(
    ("wanted", "status", "first", "beyond"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=999990-", 206, 999_990, 1_000_000),
        ("bytes=-5", 206, 999_995, 1_000_000),
        ("bytes=300000-899999", 206, 300_000, 900_000),
        ("bytes=0-99999999999", 200, 0, 1_000_000),
        ("bytes=5-1", 200, 0, 1_000_000),
        ("bytes=0-1,5-6", 200, 0, 1_000_000),
        ("bytes=-", 200, 0, 1_000_000),
        ("lines=0-9", 200, 0, 1_000_000),
        ("bytes=1000000-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
    ],
)
def test_a_part_is_given_to_who_asks_for_it(
    api: Client, file: Artifact, wanted: str, status: int, first: int, beyond: int
) -> None:
    answer = api.get(_address(file), headers={"Range": wanted})
    assert (answer.status_code, answer["Content-Length"]) == (status, str(beyond - first))
    assert _content(answer) == CONTENT[first:beyond]
    told = {200: None, 206: f"bytes {first}-{beyond - 1}/1000000", 416: "bytes */1000000"}
    assert answer.headers.get("Content-Range") == told[status]
    # Of another content than the one that is known no part is of use.
    again = api.get(_address(file), headers={"Range": wanted, "If-Range": '"another"'})
    assert (again.status_code, _content(again)) == (200, CONTENT)


def test_an_empty_file_is_a_file(api: Client, run: Run) -> None:
    empty = make_artifact(run, "s#0", b"")
    for headers in ({}, {"Range": "bytes=0-9"}):
        answer = api.get(_address(empty), headers=headers)
        assert (answer.status_code, _content(answer), answer["Content-Length"]) == (200, b"", "0")


@pytest.mark.fault(42)
def test_content_that_is_not_what_was_kept_is_not_given(api: Client, file: Artifact) -> None:
    path = artifact_store().path(file.address)
    path.write_bytes(CONTENT[:-1] + b"!")
    answer = api.get(_address(file))
    given: list[bytes] = []
    with pytest.raises(OSError, match="not the one"):
        given.extend(answer)
    assert sum(map(len, given)) < len(CONTENT)
    path.write_bytes(b"short")
    refused = api.get(_address(file), headers={"Accept": "text/html"})
    assert (refused.status_code, refused["Content-Type"]) == (404, "application/problem+json")
    assert refused.json()["detail"] == "The content of größe.html is not on this machine."
    path.unlink()
    assert api.get(_address(file)).status_code == 404


def test_the_files_of_replaced_steps_are_told_apart(api: Client, run: Run) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    _step(run, "make#0", superseded=True, started_at=long_ago)
    old = make_artifact(run, "make#0", b"old", created_at=long_ago)
    _step(run, "make#0")
    new = make_artifact(run, "make#0", b"new")

    def listed(query: str) -> list[str]:
        items = api.get(f"/api/v1/runs/{run.pk}/artifacts{query}").json()["items"]
        return [item["id"] for item in items]

    assert listed("") == listed("?step=make%230") == [str(new.pk)]
    assert listed("?superseded=true") == [str(old.pk), str(new.pk)]
    assert listed("?step=other") == []


def test_the_page_shows_the_files_of_the_whole_tree_with_their_steps(
    api: Client, person: Client, file: Artifact, home: Workspace
) -> None:
    child = make_run(home, parent=file.run, root=file.run, workflow="writer", status="succeeded")
    for number in range(60):
        _step(child, f"write#{number}")
        make_artifact(child, f"write#{number}", name=f"part {number}.txt")
    base = f"/w/{home.slug}/runs/{file.run_id}"
    page = person.get(f"{base}/").content.decode()
    assert f'href="{base}/files/{file.pk}/"' in page
    assert 'href="?step=gather%230%2F1%2Ftool%3Aweb_fetch%230"' in page
    assert "1.0 MB" in page
    assert f'href="/w/{home.slug}/runs/{child.pk}/?step=write%2359"' in page
    assert "part 40.txt" not in page
    assert f'<a href="{base}/files/">All files</a>: 41 more.' in page
    assert "61 files" in page
    first = person.get(f"{base}/files/").content.decode()
    after = first.partition("?after=")[2].partition('"')[0]
    second = person.get(f"{base}/files/?after={after}").content.decode()
    assert first.count(" download>") == 50
    assert second.count(" download>") == 11
    step = person.get(f"{base}/?step={KEY.replace('#', '%23')}").content.decode()
    assert step.count(f'href="{base}/files/{file.pk}/"') == 2
    assert len(api.get(f"/api/v1/runs/{file.run_id}/artifacts?tree=true&limit=100").json()["items"]) == 61
    assert len(api.get(f"/api/v1/runs/{file.run_id}/artifacts").json()["items"]) == 1


def test_the_web_server_sends_it_by_parts(file: Artifact) -> None:
    async def read() -> list[bytes]:
        answer = Download(RequestFactory().get("/"), stored)
        chunks = [chunk async for chunk in answer]
        answer.close()
        return chunks

    stored = open_file(file)
    chunks = asyncio.run(read())
    assert b"".join(chunks) == CONTENT
    assert max(map(len, chunks)) == CHUNK
    assert stored.content.closed
