"""Fifty clients with one key at the same moment: one run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from agents.models import Run, RunEvent
from tests.factories import make_client, make_token, make_workspace

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
