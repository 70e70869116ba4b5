"""Whatever is sent, the API answers in one form, never with a 500 or a stack trace."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from agents.api.views import resources
from agents.models import AuthToken, Role, Run, Scope, User, Workspace
from tests.factories import make_client, make_run, make_token, make_user

pytestmark = pytest.mark.django_db

RUNS = "/api/v1/runs"


def is_problem(response: Any, status: int) -> dict[str, Any]:
    """Check the form of a problem and give its members."""
    assert response.status_code == status, response.content[:500]
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.content)
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["request_id"]
    assert "Traceback" not in response.content.decode()
    return body


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"workflow": "api_echo", "input": "a\\u0000b"}', 400),
        (b'{"workflow": "api_echo", "input": {"a\\u0000": 1}}', 400),
        (b'{"workflow": "api_echo", "input": "\\ud800"}', 400),
        (b'{"workflow": "api_echo", "input": NaN}', 400),
        (b'{"workflow": "api_echo", "input": -Infinity}', 400),
        (b'{"workflow": "api_echo", "input": 1e400}', 400),
        (b'{"workflow": "api_echo", "input": 9223372036854775808}', 400),
        (b'{"workflow": "api_echo", "input": 123456789012345678901234567890}', 400),
        (b'{"workflow": "api_echo", "input": ' + b"9" * 5000 + b"}", 400),
        (b'{"workflow": "api_echo", "input": ' + b"[" * 3000 + b"]" * 3000 + b"}", 400),
        (b'{"workflow": "api_echo", "input": ' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}", 400),
        (b'{"workflow": "api_echo", "input": "' + b"a" * 1024 * 1024 + b'"}', 413),
        (b'{"workflow": "api_echo", "input": 9223372036854775807}', 202),
        (b'{"workflow": "api_echo", "input": 1e30}', 202),
        (b'{"workflow": "api_echo", "input": "123456789012345678901234567890"}', 202),
        (b'{"workflow": "api_echo", "input": "\\ud83d\\ude00"}', 202),
        (b'{"workflow": "api_echo", "input": ' + b"[" * 90 + b"]" * 90 + b"}", 202),
    ],
)
def test_bodies_that_no_database_should_see(api: Client, body: bytes, status: int) -> None:
    response = api.post(RUNS, body, content_type="application/json")
    if status == 202:
        assert response.status_code == 202, response.content
        assert api.get(response["Location"]).json()["input"] == json.loads(body)["input"] or b'"' in body
    else:
        is_problem(response, status)
        assert not Run.objects.exists()


def test_other_kinds_of_bodies(api: Client) -> None:
    is_problem(api.post(RUNS, {"workflow": "api_echo"}), 415)
    is_problem(api.post(RUNS, b"<a/>", content_type="application/xml"), 415)
    zipped = api.post(RUNS, b"\x1f\x8b", content_type="application/json", headers={"Content-Encoding": "gzip"})
    is_problem(zipped, 415)


def test_addresses_and_methods_that_are_not_there(api: Client, workspace: Workspace) -> None:
    is_problem(api.get("/api/v1/nothing"), 404)
    is_problem(api.get("/api/"), 404)
    is_problem(api.get(f"{RUNS}/not-an-id"), 404)
    is_problem(api.get(f"{RUNS}/{make_run().pk}"), 404)
    is_problem(api.put(RUNS), 405)
    is_problem(api.get(f"{RUNS}/{make_run(workspace).pk}/cancel"), 405)
    is_problem(api.get(RUNS, headers={"Accept": "text/html"}), 406)
    is_problem(api.get("/api/v1/documents/99999999999999999999999"), 404)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer a b", "Bearer nothing", "Basic YTpi", "Bearer " + "x" * 300])
def test_who_is_not_known_is_told_how_to_be(workspace: Workspace, header: str) -> None:
    response = Client().get(RUNS, headers={"Authorization": header} if header else {})
    is_problem(response, 401)
    assert response["WWW-Authenticate"] == "Bearer"


def test_tokens_that_no_longer_count(workspace: Workspace) -> None:
    user = make_user(workspace)
    token = make_token(workspace, user)
    assert make_client(token).get(RUNS).status_code == 200
    User.objects.filter(pk=user.pk).update(is_active=False)
    is_problem(make_client(token).get(RUNS), 401)
    User.objects.filter(pk=user.pk).update(is_active=True)
    AuthToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    is_problem(make_client(token).get(RUNS), 401)


def test_scopes_and_roles(workspace: Workspace) -> None:
    run = make_run(workspace)
    only_reads = make_client(make_token(workspace, scopes=[Scope.READ]))
    only_writes = make_client(make_token(workspace, scopes=[Scope.WRITE]))
    viewer = make_client(make_token(workspace, make_user(workspace, Role.VIEWER)))
    for client in (only_reads, viewer):
        assert client.get(f"{RUNS}/{run.pk}").status_code == 200
        is_problem(client.post(f"{RUNS}/{run.pk}/cancel"), 403)
        is_problem(client.post(RUNS, {"workflow": "api_echo"}, content_type="application/json"), 403)
    is_problem(only_writes.get(RUNS), 403)
    assert only_writes.post(f"{RUNS}/{run.pk}/cancel").status_code == 202


def test_the_use_of_a_token_is_recorded_once_a_minute(api: Client, django_assert_num_queries: Any) -> None:
    api.get("/api/v1/me")
    first = AuthToken.objects.get().last_used_at
    assert first is not None
    with django_assert_num_queries(1):
        api.get("/api/v1/me")
    assert AuthToken.objects.get().last_used_at == first
    AuthToken.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    api.get("/api/v1/me")
    assert AuthToken.objects.get().last_used_at > first


@pytest.mark.parametrize(
    ("error", "status"), [(OperationalError("server closed the connection"), 503), (ValueError("secret"), 500)]
)
def test_failures_of_our_own(api: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(resources.MeView, "token", fail)
    response = api.get("/api/v1/me")
    body = is_problem(response, status)
    assert str(error) not in response.content.decode()
    assert ("Retry-After" in response) == (status == 503)
    assert body["request_id"]


def test_health(client: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}
    Workspace.objects.all().delete()
    assert client.get("/readyz").status_code == 503
    assert client.post("/healthz").status_code == 405

    def away() -> None:
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", away, raising=False)
    response = client.get("/healthz")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
