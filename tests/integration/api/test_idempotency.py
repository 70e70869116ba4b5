"""Many clients at the same moment: what they ask for is done once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier, Event
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import Client

from agents.models import Inbox, Role, Run, RunEvent, Wait
from agents.services import runs as services
from tests.factories import make_client, make_run, make_token, make_user, make_workspace

CLIENTS = 50


@pytest.mark.fault(11)
@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_start_one_run() -> None:
    token = make_token(make_workspace())
    together = Barrier(CLIENTS)

    def start(number: int) -> tuple[int, str]:
        try:
            client = make_client(token)
            together.wait(20)
            response = client.post(
                "/api/v1/runs",
                {"workflow": "api_echo", "input": "once"},
                content_type="application/json",
                headers={"Idempotency-Key": "one and the same"},
            )
            return response.status_code, response.json().get("id", "")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = list(threads.map(start, range(CLIENTS)))
    assert {status for status, _ in answers} == {202}
    assert len({run for _, run in answers}) == 1
    assert Run.objects.count() == 1
    assert RunEvent.objects.count() == 1


@pytest.mark.fault(11)
@pytest.mark.django_db(transaction=True)
def test_while_the_first_request_is_held_up_the_second_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_workspace()
    api = make_client(make_token(workspace))
    assert api.get("/api/v1/me").status_code == 200  # and its use is recorded: later requests need not write that
    monkeypatch.setattr(services, "IN_FLIGHT_SECONDS", 1)
    if connection.vendor == "sqlite":
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.5)
    is_held, release = Event(), Event()

    def hold() -> str:
        with closing(connections["default"]), transaction.atomic():
            run = services.start_run(workspace=workspace, workflow="api_echo", input="once", idempotency_key="k")
            is_held.set()
            assert release.wait(20)
        return str(run.pk)

    def post() -> Any:
        body = {"workflow": "api_echo", "input": "once"}
        return api.post("/api/v1/runs", body, content_type="application/json", headers={"Idempotency-Key": "k"})

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(hold)
        assert is_held.wait(20)
        refused = post()
        release.set()
        run = first.result()
    connection.close()
    assert (refused.status_code, refused["Retry-After"]) == (409, "1")
    assert "still being accepted" in refused.json()["detail"]
    again = post()
    assert (again.status_code, again.json()["id"]) == (202, run)


@pytest.mark.fault(12)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("times", [2, 24])
@pytest.mark.parametrize("face", ["api", "page"])
def test_a_decision_counts_once_however_often_it_is_clicked(face: str, times: int) -> None:
    workspace = make_workspace("team")
    person = make_user(workspace, Role.MEMBER)
    run = make_run(workspace)
    Wait.objects.create(run=run, kind="unknown", key="decide:pay#0", name="pay#0")
    session = Client()
    session.force_login(person)
    token = make_token(workspace, person)
    together = Barrier(times)

    def click(number: int) -> int:
        with closing(connections["default"]):
            client = make_client(token) if face == "api" else Client(raise_request_exception=False)
            client.cookies = session.cookies
            path = f"/api/v1/runs/{run.pk}/decisions" if face == "api" else f"/w/team/runs/{run.pk}/decide/"
            options: dict[str, Any] = {"content_type": "application/json"} if face == "api" else {}
            # Not all the same: what the first says, counts.
            choice = {"key": "pay#0", "choice": "done" if number % 2 else "retry"}
            together.wait(20)
            return client.post(path, choice, **options).status_code

    with ThreadPoolExecutor(times) as threads:
        answers = set(threads.map(click, range(times)))
    # Who comes when the question is gone is told so.
    assert {202 if face == "api" else 302} <= answers <= {202 if face == "api" else 302, 404}
    assert Inbox.objects.count() == 1
    run.refresh_from_db()
    assert (run.status, run.wakes) == ("queued", 1)
    assert list(RunEvent.objects.values_list("kind", flat=True)) == ["run_woken"]
