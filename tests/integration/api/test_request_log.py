"""Each request is logged with who asked and from where."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.test import Client

from tests.factories import make_client, make_token, make_user, make_workspace

pytestmark = pytest.mark.django_db


def test_the_log_says_who_asked_and_from_where(caplog: pytest.LogCaptureFixture) -> None:
    workspace = make_workspace()
    person, browsing = make_user(workspace), make_user(workspace)
    browser = Client(headers={"host": "localhost"})
    browser.force_login(browsing)

    def logged(client: Client, path: str, **headers: str) -> tuple[Any, Any, Any]:
        caplog.clear()
        with caplog.at_level(logging.INFO, "django_structlog.middlewares.request"):
            client.get(path, headers=headers)
        (line,) = [record.msg for record in caplog.records if record.name == "django_structlog.middlewares.request"]
        assert isinstance(line, dict)
        assert line["request"] == f"GET {path}"
        return line["code"], line["user_id"], line["ip"]

    api = make_client(make_token(workspace, person))
    assert logged(api, "/api/v1/runs") == (200, person.pk, "127.0.0.1")
    assert logged(api, "/api/v1/runs", x_forwarded_for="8.8.8.8, 10.0.0.1") == (200, person.pk, "8.8.8.8")
    # Neither address nor person is that of the request before.
    assert logged(make_client("unknown"), "/api/v1/runs") == (401, None, "127.0.0.1")
    assert logged(Client(headers={"host": "localhost"}), "/login/")[1:] == (None, "127.0.0.1")
    assert logged(browser, f"/w/{workspace.slug}/") == (200, browsing.pk, "127.0.0.1")
