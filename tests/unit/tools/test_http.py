"""The outbound client over real connections: where it may go, how far, how much it reads. Faults H 37, I 46."""

from __future__ import annotations

import asyncio
import gzip
import socket
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.tools.local_server import LocalServer, local_server, redirect, reply
from tools.errors import (
    AddressRefused,
    BadResponse,
    ConnectionFailed,
    ResponseTooLarge,
    ToolRetry,
    TooManyRedirects,
    Unreachable,
    UnsupportedContent,
)
from tools.http import Outbound
from tools.responses import Response

pytestmark = pytest.mark.anyio

# An octal spelling that starts with 0 is refused as no address at all, before anything is resolved.
SPELLINGS = [
    "127.0.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "[::ffff:127.0.0.1]",
    "[::1]",
    "0",
]


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    "host", [*SPELLINGS, "localhost", "169.254.169.254", "[fe80::1]", "10.0.0.1", "[64:ff9b::a00:1]"]
)
async def test_private_hosts_are_refused_in_every_spelling(guarded: Outbound, server: LocalServer, host: str) -> None:
    with pytest.raises(AddressRefused, match=r"ALLOWED_NETWORKS|no address"):
        await guarded.get(server.url(host=host))
    assert server.seen == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/",
        "gopher://127.0.0.1:70/x",
        "//example.org",
        "example.org",
        "http://",
        "http://[::1",
        "http://user:secret@example.org/",
        "http://a b/",
        "http://\ud800/",
        "http://x\x00/",
        "http://" + "a" * 5000,
        "",
    ],
)
async def test_what_is_no_address_of_the_web_is_refused(guarded: Outbound, url: str) -> None:
    with pytest.raises(AddressRefused):
        await guarded.get(url)


@pytest.mark.fault(37)
async def test_an_allowed_network_is_reached(client: Outbound, server: LocalServer) -> None:
    server.routes["/"] = reply("grüße".encode(), content_type="text/plain; charset=utf-8")
    response = await client.get(server.url())
    assert (response.status, response.text(), response.media_type) == (200, "grüße", "text/plain")


@pytest.mark.fault(37)
async def test_each_hop_of_a_redirect_is_checked(client: Outbound, server: LocalServer) -> None:
    server.routes["/out"] = redirect("http://169.254.169.254/latest/meta-data/")
    with pytest.raises(AddressRefused, match=r"169\.254"):
        await client.get(server.url("/out"))


async def test_a_redirect_is_an_answer_for_who_does_not_follow_it(client: Outbound, server: LocalServer) -> None:
    server.routes["/out"] = redirect("http://169.254.169.254/latest/meta-data/", status="307 Temporary Redirect")
    answer = await client.request("POST", server.url("/out"), content=b"{}", follow=False)
    assert (answer.status, len(server.seen)) == (307, 1)


@pytest.mark.parametrize(
    ("body", "headers", "kept"),
    [
        (b"x" * 5000, {}, b"x" * 100),
        (gzip.compress(b"y" * 5000, mtime=0), {"content_encoding": "gzip"}, b"y" * 100),
        (b"no gzip", {"content_encoding": "gzip"}, b""),
        (b"brotli", {"content_encoding": "br"}, b""),
        (b"short", {}, b"short"),
    ],
)
async def test_of_an_answer_only_the_beginning_may_be_read(
    client: Outbound, server: LocalServer, body: bytes, headers: dict[str, str], kept: bytes
) -> None:
    server.routes["/"] = reply(body, **headers)
    answer = await client.request("POST", server.url("/"), content=b"{}", max_bytes=100, cut=True)
    assert (answer.status, answer.body) == (200, kept)


async def test_redirects_to_other_schemes_are_refused(client: Outbound, server: LocalServer) -> None:
    server.routes["/file"] = redirect("file:///etc/passwd")
    with pytest.raises(AddressRefused):
        await client.get(server.url("/file"))


async def test_redirects_are_followed_to_an_end(client: Outbound, server: LocalServer) -> None:
    for number in range(5):
        server.routes[f"/{number}"] = redirect(f"{number + 1}")
    server.routes["/5"] = reply(b"here")
    response = await client.get(server.url("/0"))
    assert response.url == server.url("/5")
    server.routes["/5"] = redirect("/6")
    with pytest.raises(TooManyRedirects):
        await client.get(server.url("/0"))


async def test_keys_are_not_handed_on_to_another_origin(client: Outbound, server: LocalServer) -> None:
    async with local_server() as other:
        server.routes["/away"] = redirect(other.url("/"))
        server.routes["/same"] = redirect("/b")
        server.routes["/b"] = other.routes["/"] = reply(b"ok")
        for path in ("/away", "/same"):
            await client.get(server.url(path), headers={"Authorization": "Bearer key", "Accept": "text/plain"})
    assert [headers.get("authorization") for _, headers in server.seen] == ["Bearer key"] * 3
    [(_, headers)] = other.seen
    assert "authorization" not in headers
    assert headers["accept"] == "text/plain"


async def test_a_post_is_not_handed_on_to_another_origin(client: Outbound, server: LocalServer) -> None:
    server.routes["/a"] = redirect(server.url("/b", host="127.0.0.2"), status="307 Temporary Redirect")
    with pytest.raises(BadResponse, match="not handed on"):
        await client.request("POST", server.url("/a"), content=b"secret")


@pytest.mark.fault(37)
async def test_a_name_that_changes_its_address_between_check_and_use_is_refused(
    guarded: Outbound, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["93.184.216.34", "127.0.0.1", "127.0.0.1"]
    resolve = socket.getaddrinfo

    def rebinding(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return resolve(answers.pop(0) if name == "rebinding.example" else host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with pytest.raises(AddressRefused, match=r"rebinding\.example"):
        await guarded.get(server.url(host="rebinding.example"))
    assert len(answers) < 2  # It was resolved a second time, for the connection.
    assert server.seen == []


async def test_a_name_with_one_private_address_is_refused_before_anybody_connects(
    guarded: Outbound, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mixed(*args: Any, **kwargs: Any) -> Any:
        kinds = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kinds, ("93.184.216.34", server.port)), (*kinds, ("127.0.0.1", server.port))]

    monkeypatch.setattr(socket, "getaddrinfo", mixed)
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1"):
        await guarded.get(server.url(host="mixed.example"))


async def test_a_host_that_does_not_exist_is_named(guarded: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unreachable, match=r"nowhere\.example"):
        await guarded.get("http://nowhere.example/")


@pytest.mark.fault(46)
async def test_a_large_answer_is_refused_by_its_declared_size(client: Outbound, server: LocalServer) -> None:
    server.routes["/"] = reply(content_length="1000000000")
    with pytest.raises(ResponseTooLarge):
        await client.get(server.url())


@pytest.mark.fault(46)
async def test_an_endless_answer_is_cut_off(client: Outbound, server: LocalServer) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    server.routes["/"] = endless
    with pytest.raises(ResponseTooLarge):
        await client.get(server.url())


@pytest.mark.fault(46)
async def test_a_gzip_bomb_is_not_unpacked(client: Outbound, server: LocalServer) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(50)) + packer.flush()
    assert len(bomb) < 100_000
    server.routes["/"] = reply(bomb, content_encoding="gzip")
    with pytest.raises(ResponseTooLarge):
        await client.get(server.url())


async def test_gzip_of_several_members_is_unpacked(client: Outbound, server: LocalServer) -> None:
    server.routes["/"] = reply(gzip.compress(b"one ") + gzip.compress(b"two"), content_encoding="gzip")
    assert (await client.get(server.url())).body == b"one two"


@pytest.mark.parametrize("body", [b"not packed", gzip.compress(b"cut off" * 100, mtime=0)[:-20]], ids=["plain", "cut"])
async def test_broken_gzip_is_named(client: Outbound, server: LocalServer, body: bytes) -> None:
    server.routes["/"] = reply(body, content_encoding="gzip")
    with pytest.raises(BadResponse):
        await client.get(server.url())


async def test_other_packings_are_not_read(client: Outbound, server: LocalServer) -> None:
    server.routes["/"] = reply(b"(\xb5/\xfd", content_encoding="zstd")
    with pytest.raises(UnsupportedContent):
        await client.get(server.url())


@pytest.mark.fault(46)
async def test_an_answer_that_drips_ends_at_the_total_time(client: Outbound, server: LocalServer) -> None:
    async def dripping(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    server.routes["/"] = dripping
    with pytest.raises(ConnectionFailed, match=r"within 0\.3 s"):
        await client.get(server.url(), timeout=0.3)


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\ncut"])
async def test_a_broken_answer_may_be_tried_again(client: Outbound, server: LocalServer, answer: bytes) -> None:
    server.routes["/"] = answer
    with pytest.raises(ToolRetry):
        await client.get(server.url())


async def test_it_says_who_it_is_and_keeps_no_cookies(
    client: Outbound, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    server.routes["/"] = reply(b"ok", set_cookie="session=1; Path=/")
    async with Outbound(allowed_networks=["127.0.0.1/32"], contact="https://agents.example.org") as fresh:
        await fresh.get(server.url())
        await fresh.get(server.url())
    for _, headers in server.seen:
        assert headers["user-agent"].startswith("agentsite")
        assert "(+https://agents.example.org)" in headers["user-agent"]
        assert headers["accept-encoding"] == "gzip"
        assert "cookie" not in headers


async def test_its_own_headers_cannot_be_set(client: Outbound) -> None:
    with pytest.raises(ValueError, match="host"):
        await client.get("http://127.0.0.1/", headers={"Host": "internal"})


def make_response(status: int = 200, body: bytes = b"", **headers: str) -> Response:
    return Response("https://example.org/a", status, {k.replace("_", "-"): v for k, v in headers.items()}, body)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("7", 7.0), ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
)
def test_an_overload_asks_for_another_try(retry_after: str, seconds: float) -> None:
    with pytest.raises(ToolRetry, match="429 Too Many Requests") as caught:
        make_response(429, retry_after=retry_after).check(datetime(2026, 1, 1, tzinfo=UTC))
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("retry_after", ["", "soon", "-1", "1e9", "²"])
def test_an_odd_retry_after_is_none(retry_after: str) -> None:
    assert make_response(503, retry_after=retry_after).retry_after(datetime(2026, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize("status", [400, 404, 410, 451, 499, 999])
def test_other_errors_are_final(status: int) -> None:
    with pytest.raises(BadResponse, match=f"example.org answered {status}"):
        make_response(status).check()


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode("latin-1"), "text/plain; charset=latin-1", "é"),
        ("“q”".encode("cp1252"), "text/plain; charset=ISO-8859-1", "“q”"),
        (b"\xef\xbb\xbfabc", "text/plain", "abc"),
        ("ж".encode("utf-16"), "text/plain; charset=utf-8", "ж"),
        (b"<meta charset='cp1251'>\xe6", "text/html", "<meta charset='cp1251'>ж"),
        (b"\xff", "text/plain", "\N{REPLACEMENT CHARACTER}"),
        (b"x", "text/plain; charset=zip", "x"),
        (b"a\\u0041", "text/plain; charset=unicode_escape", "a\\u0041"),
        (b"x", "text/plain; charset=\x00", "x"),
        (b"+AEE-", "text/plain; charset=utf-7", "+AEE-"),
    ],
)
def test_text_is_decoded_as_declared_and_never_by_odd_codecs(body: bytes, content_type: str, text: str) -> None:
    assert make_response(body=body, content_type=content_type).text() == text


def test_json_that_is_none_is_named() -> None:
    assert make_response(body=b'{"a": 1}').json() == {"a": 1}
    with pytest.raises(BadResponse, match="not JSON"):
        make_response(body=b"[" * 100_000).json()
