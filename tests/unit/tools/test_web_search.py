"""Searching the web through a SearXNG server, and saying so where there is none."""

from __future__ import annotations

import pytest
from django.conf import settings

from tests.unit.tools.fakes import FakeContext
from tests.unit.tools.local_server import LocalServer, reply
from tools.builtin.web_search import web_search
from tools.errors import BadResponse, ToolFailed, ToolRetry
from tools.http import Outbound
from tools.types import Citation

pytestmark = pytest.mark.anyio

FOUND = b"""{"results": [{"url": "https://a.example/", "title": "A", "content": "About a."}, {"url": "javascript:x"},
{"title": "no address"}, 7, {"url": "http://b.example/"}]}"""


async def test_without_an_engine_it_says_so(client: Outbound) -> None:
    with pytest.raises(ToolFailed, match="SEARXNG_URL"):
        await web_search(FakeContext(client=client), "lamps")


async def test_results_are_given_as_sources(
    client: Outbound, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SEARXNG_URL", server.url("/searx"))
    path = "/searx/search?q=lamps+%26+more&format=json&language=de"
    server.routes[path] = reply(FOUND, content_type="application/json")
    output = await web_search(FakeContext(client=client), "lamps & more", language="de")
    assert [hit["url"] for hit in output.data["results"]] == ["https://a.example/", "http://b.example/"]
    assert output.citations[0] == Citation("https://a.example/", "A", "About a.")
    server.routes[path] = reply(b"[]", content_type="application/json")
    with pytest.raises(BadResponse):
        await web_search(FakeContext(client=client), "lamps & more", language="de")
    server.routes[path] = reply(status="429 Too Many Requests", retry_after="7")
    with pytest.raises(ToolRetry) as busy:
        await web_search(FakeContext(client=client), "lamps & more", language="de")
    assert busy.value.retry_after == 7
    server.routes[path] = reply(b'{"results": []}', content_type="application/json")
    assert "nothing" in (await web_search(FakeContext(client=client), "lamps & more", language="de")).text
