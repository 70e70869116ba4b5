"""Pages taken apart by selectors, over a real server, in time that pages can't lengthen. Faults H 39, I 46."""

from __future__ import annotations

import json
import time

import pytest

from tests.unit.tools.fakes import FakeContext
from tests.unit.tools.local_server import LocalServer, redirect, reply
from tools.builtin.markup import take_apart
from tools.builtin.web_scrape import web_scrape
from tools.errors import AddressRefused, RobotsRefused, ToolFailed, UnsupportedContent
from tools.http import Outbound

pytestmark = pytest.mark.anyio

SHOP = """<html><head><title> Lamps  for all </title><base href="/shop/"></head><body>
<ul><li class="lamp new" id="a"><a href="one">One</a><b data-price="9.50">9.50 €</b></li>
<li class="lamp"><a href="two?x=1#top">Two</a><b data-price="7">7 €</b></li><li>Not a lamp</li></ul>
<table><caption>Sizes</caption><tr><th>Name</th><th>cm</th></tr><tr><td>One</td><td>30</td></tr></table>
<a class="next" href="page2">Next</a> <a class="next" href="http://elsewhere.example/">Away</a>
<a href="javascript:alert(1)">x</a></body></html>"""


@pytest.fixture
def context(client: Outbound) -> FakeContext:
    return FakeContext(client=client)


def found(selector: str, html: str = SHOP) -> list[str]:
    options = {"rows": "", "tables": False, "links": False, "follow": ""}
    return take_apart(html, "http://x.example/a/", fields={"it": selector}, **options).fields["it"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("selector", "values"),
    [
        ("li.lamp > a", ["One", "Two"]),
        ("#a a@href", ["http://x.example/shop/one"]),
        ("b@data-price", ["9.50", "7"]),
        ("li:first-child b, li:nth-child(2) b", ["9.50 €", "7 €"]),
        ("li:not(.lamp)", ["Not a lamp"]),
        ("li.lamp:not(.new) a", ["Two"]),
        ("li ~ li", ["Two7 €", "Not a lamp"]),
        ("li.new + li > b", ["7 €"]),
        ("b[data-price^='9']", ["9.50 €"]),
        ("a[href]:is(.next)", ["Next", "Away"]),
        ("li:last-of-type", ["Not a lamp"]),
        ("body td:nth-last-child(1)", ["30"]),
        ("video", []),
    ],
)
def test_selectors(selector: str, values: list[str]) -> None:
    assert found(selector) == values


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    "selector",
    [
        "li[",
        "li:hover",
        "::before",
        "li:has(a)",
        "a::attr(href)",
        "li:nth-child(x)",
        "//li",
        "{{7*7}}",
        "*" * 201,
        "document('file:///etc/passwd')",
        "li:contains('x')",
        "a b" * 20,
    ],
)
def test_what_is_no_selector_is_refused_and_never_evaluated(selector: str) -> None:
    with pytest.raises(ToolFailed):
        found(selector)


@pytest.mark.fault(46)
@pytest.mark.parametrize("html", ["<p>x" * 370_000, ("<div>" * 200 + "</div>" * 200) * 600], ids=["flat", "deep"])
def test_a_page_made_to_keep_it_busy_is_given_up(html: str) -> None:
    started = time.process_time()
    for selector in ("* ~ * ~ * ~ *", "* * * *", "*:nth-of-type(2n)"):
        found(selector, html)
    fields = {str(number): "* ~ * ~ * ~ *" for number in range(20)}
    with pytest.raises(ToolFailed, match="too large"):
        take_apart(html, "http://x.example/", fields=fields, rows="", tables=True, links=True, follow="a")
    # Not a figure: what it guards against takes minutes to hours.
    assert time.process_time() - started < 60


async def test_rows_tables_and_links_of_a_page(context: FakeContext, server: LocalServer) -> None:
    server.routes["/"] = reply(SHOP.encode(), content_type="text/html; charset=utf-8")
    fields = {"name": "a", "price": "b@data-price", "class": "@class"}
    output = await web_scrape(context, server.url(), fields, rows="li", tables=True, links=True)
    page = output.data
    assert page["title"] == "Lamps for all"
    assert page["rows"] == [
        {"name": "One", "price": "9.50", "class": "lamp new"},
        {"name": "Two", "price": "7", "class": "lamp"},
        {"name": "", "price": "", "class": ""},
    ]
    assert page["tables"] == [{"caption": "Sizes", "header": ["Name", "cm"], "rows": [["One", "30"]]}]
    assert [link["text"] for link in page["links"]] == ["One", "Two", "Next", "Away"]
    assert output.citations[0].source == server.url()


async def test_where_a_page_leads_is_given_with_the_pause_its_site_wants(
    context: FakeContext, server: LocalServer
) -> None:
    server.routes["/robots.txt"] = reply(b"User-agent: *\nCrawl-delay: 3\nDisallow: /private")
    server.routes["/"] = reply(SHOP.encode(), content_type="text/html")
    output = await web_scrape(context, server.url(), {"title": "title"}, follow="a.next")
    assert output.data["fields"] == {"title": ["Lamps for all"]}
    assert output.data["following"] == [server.url("/shop/page2"), "http://elsewhere.example/"]
    assert output.data["pause"] == 3
    with pytest.raises(RobotsRefused):
        await web_scrape(context, server.url("/private/x"))


async def test_of_a_page_with_much_on_it_the_whole_is_a_file(context: FakeContext, server: LocalServer) -> None:
    many = "".join(f"<li class=lamp><a href='{n}'>{'Lamp ' * 40}{n}</a></li>" for n in range(400))
    server.routes["/"] = reply(f"<ul>{many}</ul>".encode(), content_type="text/html")
    output = await web_scrape(context, server.url(), {"name": "a"}, rows="li")
    assert "Cut here" in output.text
    assert output.file is not None
    assert output.file.name.startswith("127.0.0.1-")
    assert json.loads(output.file.content)["rows"][399]["name"].endswith(" 399")


async def test_what_is_no_page_is_refused(context: FakeContext, server: LocalServer) -> None:
    server.routes["/a.pdf"] = reply(b"%PDF", content_type="application/pdf")
    server.routes["/out"] = redirect("http://169.254.169.254/")
    with pytest.raises(UnsupportedContent):
        await web_scrape(context, server.url("/a.pdf"))
    with pytest.raises(AddressRefused):
        await web_scrape(context, server.url("/out"))
