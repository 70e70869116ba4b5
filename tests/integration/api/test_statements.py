"""What a request that is accepted asks of the database: as little as it can."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.engine.connecting import postgres_parameters
from agents.models import AuthToken, Run
from tests.factories import make_client, make_token, make_workspace


@pytest.mark.parametrize(
    ("address", "body", "most"),
    [
        # The token; the place in the queue; the run with its first event, which SQLite takes in two.
        ("runs", {"workflow": "react", "input": "count me"}, {"postgresql": 3, "sqlite": 4}),
        # The token; the event.
        ("events", {"name": "order.paid", "source": "shop"}, {"postgresql": 2, "sqlite": 2}),
    ],
)
def test_a_request_asks_little(transactional_db: None, address: str, body: Any, most: dict[str, int]) -> None:
    workspace = make_workspace(caps={"steps": 7})
    api = make_client(make_token(workspace))
    # The first one with a token also records its use.
    api.get("/api/v1/me")
    with CaptureQueriesContext(connection) as asked:
        answer = api.post(f"/api/v1/{address}", data=body, content_type="application/json")
    assert answer.status_code == 202, answer.content
    said = [query["sql"] for query in asked.captured_queries]
    assert sum(not sql.startswith(("BEGIN", "COMMIT")) for sql in said) <= most[connection.vendor], said
    assert [run.budget for run in Run.objects.all()] == ([{"steps": 7}] if address == "runs" else [])


@pytest.mark.django_db(transaction=True)
def test_a_session_that_the_server_ended_is_noticed_before_it_is_used() -> None:
    if connection.vendor != "postgresql":
        # There is nobody who could hang up.
        return
    connection.ensure_connection()
    assert connection.is_usable()
    pid = connection.connection.info.backend_pid
    with psycopg.connect(**postgres_parameters("test"), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    assert not connection.is_usable()
    connection.close()
    assert AuthToken.objects.count() == 0
    # A mere notice is none.
    with connection.cursor() as cursor:
        cursor.execute("LISTEN somebody")
        with psycopg.connect(**postgres_parameters("test"), autocommit=True) as other:
            other.execute("SELECT pg_notify('somebody', '')")
    assert connection.is_usable()
