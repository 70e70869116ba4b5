"""What sites want of programs is asked once, and kept to."""

from __future__ import annotations

import asyncio

import pytest
from django.conf import settings

from tests.unit.tools.fakes import FakeContext
from tests.unit.tools.local_server import LocalServer, local_server, redirect, reply
from tools.builtin.web_fetch import web_fetch
from tools.errors import RobotsRefused, ToolRetry
from tools.http import Outbound
from tools.robots import AGE, AT_ONCE, Robots

pytestmark = pytest.mark.anyio

RULES = b"User-agent: *\nDisallow: /private\nAllow: /private/open$\nCrawl-delay: 2\nUser-agent: other\nDisallow: /"


async def test_rules_are_kept_and_asked_for_once(client: Outbound, server: LocalServer) -> None:
    server.routes["/robots.txt"] = reply(RULES, content_type="text/plain")
    now = [0.0]
    robots = Robots(client, clock=lambda: now[0])
    await asyncio.gather(*(robots.admit(server.url(f"/{n}")) for n in range(20)))
    await robots.admit(server.url("/private/open"))
    with pytest.raises(RobotsRefused, match=r"robots\.txt"):
        await robots.admit(server.url("/private/x"))
    assert await robots.delay(server.url()) == 2
    assert len(server.seen) == 1
    now[0] = AGE + 1
    server.routes["/robots.txt"] = reply(status="404 Not Found")
    await robots.admit(server.url("/private/x"))
    assert len(server.seen) == 2


async def test_a_site_that_can_not_say_is_asked_later(client: Outbound, server: LocalServer) -> None:
    server.routes["/robots.txt"] = reply(status="503 Service Unavailable")
    robots = Robots(client)
    with pytest.raises(ToolRetry):
        await robots.admit(server.url())
    server.routes["/robots.txt"] = reply(b"", content_type="text/plain")
    await robots.admit(server.url())


async def test_each_hop_of_a_fetch_is_asked_about(
    client: Outbound, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with local_server() as other:
        other.routes["/robots.txt"] = reply(b"User-agent: agentsite\nDisallow: /", content_type="text/plain")
        other.routes["/there"] = reply(b"words", content_type="text/plain")
        server.routes["/away"] = redirect(other.url("/there"))
        with pytest.raises(RobotsRefused):
            await web_fetch(FakeContext(client=client), server.url("/away"))
        assert [first for first, _ in other.seen] == ["GET /robots.txt HTTP/1.1"]
        monkeypatch.setattr(settings, "RESPECT_ROBOTS", False)
        assert "words" in (await web_fetch(FakeContext(client=client), server.url("/away"))).text


async def test_few_requests_are_at_one_site_at_once_and_sites_do_not_wait_for_each_other(client: Outbound) -> None:
    robots, most, here, go_on = Robots(client), 0, 0, asyncio.Event()

    async def visit(url: str) -> None:
        nonlocal most, here
        async with robots.visit(url):
            here += "crowded" in url
            most = max(most, here)
            await go_on.wait()
            here -= "crowded" in url

    visits = [asyncio.create_task(visit(f"http://crowded.example/{n}")) for n in range(20)]
    quiet = asyncio.create_task(visit("http://quiet.example/"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert here == AT_ONCE
    go_on.set()
    await asyncio.gather(*visits, quiet)
    assert (most, here) == (AT_ONCE, 0)
