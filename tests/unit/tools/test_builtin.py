"""The tools that come along, over a real server where they fetch."""

from __future__ import annotations

import pytest

from tests.unit.tools.fakes import FakeContext
from tests.unit.tools.local_server import LocalServer, redirect, reply
from tools.builtin.search_documents import search_documents
from tools.builtin.wait import LONGEST, wait, waited_text
from tools.builtin.web_fetch import web_fetch
from tools.errors import AddressRefused, BadResponse, InvalidArguments, ResponseTooLarge, ToolRetry, UnsupportedContent
from tools.http import Outbound
from tools.registry import registry
from tools.types import Citation, FoundPassage

pytestmark = pytest.mark.anyio

PAGE = b"""<!doctype html><html><head><title>On kettles</title><script>evil()</script></head><body>
<nav><a href="/">Home</a> <a href="/shop">Shop</a></nav>
<article><h1>On kettles</h1>
<p>A kettle boils a litre of water in about four minutes, depending on its power and on how cold the water is.</p>
<p>Limescale slows it down. Vinegar or citric acid takes the limescale off within half an hour.</p></article>
<footer>Imprint</footer></body></html>"""


@pytest.fixture
def context(client: Outbound) -> FakeContext:
    return FakeContext(client=client)


def test_all_are_registered_with_what_they_declare() -> None:
    declared = {tool.name: (tool.effect, tool.trust, tool.kind, tool.durable) for tool in registry}
    assert (
        declared.items()
        >= {
            "ask_person": ("none", "trusted", "act", "ask"),
            "calculate": ("none", "trusted", "act", ""),
            "search_documents": ("none", "untrusted", "search", ""),
            "wait": ("none", "trusted", "act", "sleep"),
            "web_fetch": ("none", "untrusted", "search", ""),
        }.items()
    )
    for name in ("calculate", "search_documents", "wait", "web_fetch"):
        properties = registry.get(name).schema["properties"]
        assert all("description" in parameter for parameter in properties.values()), name


async def test_html_becomes_its_readable_text(context: FakeContext, server: LocalServer) -> None:
    server.routes["/kettles"] = reply(PAGE, content_type="text/html; charset=utf-8")
    server.routes["/"] = redirect("/kettles")
    output = await web_fetch(context, server.url())
    assert "A kettle boils a litre of water in about four minutes" in output.text
    assert "evil()" not in output.text
    assert "Imprint" not in output.text
    assert output.citations == (Citation(source=server.url("/kettles"), title="On kettles"),)
    assert output.data["title"] == "On kettles"


async def test_a_short_page_is_given_whole(context: FakeContext, server: LocalServer) -> None:
    server.routes["/"] = reply(b"<html><body><div>Closed on Mondays</div></body></html>", content_type="text/html")
    assert (await web_fetch(context, server.url())).text == "Closed on Mondays"


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain", b"as it is\n  is", "as it is\n  is"),
        ("text/markdown", b"# A\n\n*b*", "# A\n\n*b*"),
        ("application/json", b'{"a":1}', '{\n "a": 1\n}'),
        ("application/vnd.api+json", b"broken", "broken"),
        ("application/rss+xml", b"<rss/>", "<rss/>"),
        ("", b"no type", "no type"),
    ],
)
async def test_other_texts_are_given_as_they_are(
    context: FakeContext, server: LocalServer, content_type: str, body: bytes, text: str
) -> None:
    server.routes["/"] = reply(body, content_type=content_type)
    assert (await web_fetch(context, server.url())).text == text


@pytest.mark.parametrize("content_type", ["application/pdf", "image/png", "application/octet-stream", ""])
async def test_what_is_no_text_is_refused(context: FakeContext, server: LocalServer, content_type: str) -> None:
    server.routes["/"] = reply(b"\x89PNG\0\0", content_type=content_type)
    with pytest.raises(UnsupportedContent, match="Readable are HTML"):
        await web_fetch(context, server.url())


async def test_a_page_without_text_says_so(context: FakeContext, server: LocalServer) -> None:
    server.routes["/"] = reply(b"<html><body><div id=app></div></body></html>", content_type="text/html")
    with pytest.raises(BadResponse, match="no readable text"):
        await web_fetch(context, server.url())


@pytest.mark.parametrize("body", [b"<" * 50_000, b"<div>" * 15_000, b"\xff\xfe", b"<p>" + b"&#0;" * 9000])
async def test_broken_html_does_no_harm(context: FakeContext, server: LocalServer, body: bytes) -> None:
    server.routes["/"] = reply(body, content_type="text/html")
    try:
        output = await web_fetch(context, server.url())
    except BadResponse:
        return
    assert isinstance(output.text, str)


async def test_a_long_text_is_cut_and_says_so(context: FakeContext, server: LocalServer) -> None:
    server.routes["/"] = reply(b"word " * 10_000, content_type="text/plain")
    output = await web_fetch(context, server.url(), max_characters=1000)
    assert len(output.text) < 1100
    assert "49,000 more characters" in output.text
    assert output.file is not None
    assert output.file.content == b"word " * 10_000


async def test_a_large_page_is_refused(context: FakeContext, server: LocalServer) -> None:
    server.routes["/"] = reply(content_type="text/plain", content_length="5000001")
    with pytest.raises(ResponseTooLarge):
        await web_fetch(context, server.url())


async def test_errors_of_the_server_are_sorted(context: FakeContext, server: LocalServer) -> None:
    server.routes["/busy"] = reply(status="503 Service Unavailable", retry_after="9")
    with pytest.raises(ToolRetry) as caught:
        await web_fetch(context, server.url("/busy"))
    assert caught.value.retry_after == 9
    with pytest.raises(BadResponse, match="404"):
        await web_fetch(context, server.url("/gone"))


async def test_private_addresses_are_refused(guarded: Outbound, server: LocalServer) -> None:
    with pytest.raises(AddressRefused):
        await web_fetch(FakeContext(client=guarded), server.url())


async def test_found_passages_are_quoted_and_cited() -> None:
    passage = FoundPassage(7, "Refunds", "Within 30 days.", 10, 25, 1.5, url="https://example.org/r")
    output = await search_documents(FakeContext(passages=[passage]), "refund")
    assert "[document:7] Refunds\nWithin 30 days." in output.text
    assert output.citations == (Citation("document:7", "Refunds", "Within 30 days.", "10-25"),)
    assert output.data["passages"][0]["source"] == "document:7"


async def test_nothing_found_says_so() -> None:
    output = await search_documents(FakeContext(), "refund")
    assert output.text == "No document of this workspace has anything on: refund"
    assert output.citations == ()


async def test_wait_sleeps_by_its_context() -> None:
    context = FakeContext()
    assert await wait(context, 90) == "Waited 1.5 minutes."
    assert context.slept == [90]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 seconds"), (1, "1 second"), (0.5, "0.5 seconds"), (3600, "1 hour"), (LONGEST, "30 days")],
)
def test_a_pause_is_told_in_words(seconds: float, text: str) -> None:
    assert waited_text(seconds) == f"Waited {text}."


@pytest.mark.parametrize("seconds", [-1, LONGEST + 1, "soon", float("nan"), float("inf")])
def test_a_pause_is_bounded(seconds: object) -> None:
    with pytest.raises(InvalidArguments):
        registry.get("wait").validate({"seconds": seconds})
