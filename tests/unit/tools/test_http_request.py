"""Requests to APIs over a real server: to listed hosts alone, with secrets that go nowhere else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.conf import settings

from tests.unit.tools.fakes import FakeContext
from tests.unit.tools.local_server import LocalServer, local_server, redirect, reply
from tools.builtin.http_request import http_request
from tools.errors import HostNotListed, NoEffect, SecretRefused, ToolFailed, ToolRetry, UnknownSecret
from tools.http import Outbound
from tools.results import to_output

pytestmark = pytest.mark.anyio

KEY = "sk-0123456789"


@pytest.fixture
def context(client: Outbound) -> FakeContext:
    return FakeContext(client=client, hosts=["127.0.0.1"], secrets={"shop": KEY})


async def test_secrets_are_put_in_and_a_key_makes_it_once(context: FakeContext, server: LocalServer) -> None:
    server.routes["/orders"] = reply(b'{"id": 7}', status="201 Created", content_type="application/json")
    output = await http_request(
        context,
        server.url("/orders"),
        "POST",
        {"Authorization": "Bearer {secret:shop}"},
        {"lamp": 2, "key": ["{secret:shop}"]},
    )
    [(first, headers)] = server.seen
    assert first == "POST /orders HTTP/1.1"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["idempotency-key"] == "key"
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(f'{{"lamp": 2, "key": ["{KEY}"]}}')
    assert (output.data["status"], output.data["json"]) == (201, {"id": 7})
    assert "→ 201" in output.text


async def test_asking_carries_no_key(context: FakeContext, server: LocalServer) -> None:
    server.routes["/"] = reply(b"\x00\x01", content_type="application/octet-stream")
    output = await http_request(context, server.url())
    assert "idempotency-key" not in server.seen[0][1]
    assert "[2 bytes of application/octet-stream]" in output.text


async def test_only_listed_hosts_are_reached(context: FakeContext, server: LocalServer) -> None:
    context.hosts = ["api.example.org"]
    with pytest.raises(HostNotListed, match=r"127\.0\.0\.1.*api\.example\.org.*REQUEST_HOSTS"):
        await http_request(context, server.url())
    assert server.seen == []


async def test_a_redirect_leads_to_listed_hosts_alone_and_takes_no_secret_along(
    context: FakeContext, server: LocalServer
) -> None:
    server.routes["/away"] = redirect(server.url("/there", host="127.0.0.2"))
    headers = {"Authorization": "{secret:shop}"}
    with pytest.raises(HostNotListed):
        await http_request(context, server.url("/away"), headers=headers)
    context.hosts = ["127.0.0.1", "127.0.0.2"]
    async with local_server() as other:
        server.routes["/away"] = redirect(other.url("/there"))
        other.routes["/there"] = reply(b"here")
        await http_request(context, server.url("/away"), headers=headers)
    assert "authorization" not in other.seen[0][1]


async def test_secrets_are_sent_by_https_to_their_hosts_alone(context: FakeContext, server: LocalServer) -> None:
    context.hosts = ["api.example.org", "127.0.0.1"]
    with pytest.raises(SecretRefused, match="https"):
        await http_request(context, "http://api.example.org/", headers={"x": "{secret:shop}"})
    with pytest.raises(UnknownSecret):
        await http_request(context, server.url(), body="{secret:other}", method="POST")
    assert server.seen == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"headers": {"Host": "x"}},
        {"headers": {"Content-Length": "1"}},
        {"headers": {"a b": "x"}},
        {"headers": {"a": "x\r\nb: c"}},
        {"headers": {"a": "é"}},
        {"headers": {"Proxy-Authorization": "x"}},
        {"method": "POST", "body": "x", "json_body": {}},
    ],
)
async def test_what_can_not_be_sent_is_named(context: FakeContext, server: LocalServer, wrong: dict[str, Any]) -> None:
    with pytest.raises(ToolFailed):
        await http_request(context, server.url(), **wrong)
    assert server.seen == []


async def test_what_surely_had_no_effect_says_so(context: FakeContext, server: LocalServer) -> None:
    with pytest.raises(NoEffect, match="can't be reached"):
        await http_request(context, "http://127.0.0.1:9/", "POST")
    # It may have been carried out; only asking has no effect.
    server.routes["/"] = b""
    with pytest.raises(ToolRetry):
        await http_request(context, server.url(), "POST")
    with pytest.raises(NoEffect):
        await http_request(context, server.url())


async def test_an_error_of_the_other_side_is_an_answer(context: FakeContext, server: LocalServer) -> None:
    server.routes["/"] = reply(b"no", status="422 Unprocessable Content", content_type="text/plain", retry_after="3")
    output = await http_request(context, server.url(), "PUT", body="x")
    assert (output.data["status"], output.data["headers"]["retry-after"]) == (422, "3")


async def test_an_answer_that_is_long_or_no_text_is_a_file(context: FakeContext, server: LocalServer) -> None:
    server.routes["/picture"] = reply(b"\x89PNG\x00\xff", content_type="image/png")
    output = await http_request(context, server.url("/picture"))
    assert output.file is not None
    assert (output.file.content, output.file.media_type) == (b"\x89PNG\x00\xff", "image/png")
    assert output.file.name.endswith(".png")
    assert "6 bytes of image/png" in output.text
    # Longer than what may be recorded: what was done is no failure for that.
    server.routes["/long"] = reply(b"[" + b"1," * 700_000 + b"1]", content_type="application/json")
    output = await http_request(context, server.url("/long"), "POST", max_characters=500)
    assert output.file is not None
    assert len(output.file.content) == 1_400_003
    assert output.data["json"] is None
    assert len(to_output("http_request", output).text) < 700


def test_the_setting_is_there() -> None:
    assert settings.REQUEST_HOSTS == []
    assert asyncio.iscoroutinefunction(http_request)
