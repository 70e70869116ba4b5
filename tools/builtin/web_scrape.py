"""The tool `web_scrape`: one page, taken apart."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import Field

from tools.builtin.pages import get_page
from tools.errors import ToolFailed, UnsupportedContent
from tools.files import file_name, shown_and_whole
from tools.hosts import host_limits
from tools.registry import tool
from tools.robots import robots_of
from tools.threads import run_in_thread
from tools.types import JSON, Citation, Retry, ToolContext, ToolOutput

if TYPE_CHECKING:
    from tools.builtin.markup import Parts

MAX_FIELDS = 20
MAX_DATA = 800_000
MAX_TEXT = 50_000
_HTML = ("text/html", "application/xhtml+xml", "")

Selector = Annotated[str, Field(max_length=200)]
Fields = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=60)], Selector] | None, Field(max_length=MAX_FIELDS)
]


@tool(limits=host_limits, effect="none", trust="untrusted", kind="search", timeout=300, retry=Retry(max_attempts=3))
async def web_scrape(
    context: ToolContext,
    url: str,
    fields: Fields = None,
    rows: Selector = "",
    tables: bool = False,
    links: bool = False,
    follow: Selector = "",
) -> ToolOutput:
    """Take fields, tables and links out of a web page by CSS selectors. For many pages there is web_crawl.

    Args:
        url: The full address of the page.
        fields: What to take, by name: a CSS selector, and perhaps an attribute after @, as in "a.more@href".
        rows: A selector of repeated elements; fields are then looked for within each and become one record.
        tables: Whether to give the tables.
        links: Whether to give all links.
        follow: A selector of links whose addresses are given as `following`, as in "a.next".
    """
    # lxml takes a while to import and only workers that scrape need it.
    markup = await run_in_thread(import_module, "tools.builtin.markup")
    for selector in (*(fields or {}).values(), rows, follow):
        markup.read_wanted(selector)
    response = await get_page(context, url)
    if response.media_type not in _HTML:
        raise UnsupportedContent(f"{response.url} is {response.media_type}, not a page in HTML.")
    options = {"fields": fields or {}, "rows": rows, "tables": tables, "links": links, "follow": follow}
    found: Parts = await run_in_thread(markup.take_apart, response.text(), response.url, **options)
    page = _shown(found, with_rows=bool(rows), with_following=bool(follow))
    if len(json.dumps(page)) > MAX_DATA:
        raise ToolFailed("The page holds too much for one answer; choose narrower selectors.")
    page["pause"] = await robots_of(context.http).delay(response.url)
    name = file_name(urlsplit(found.url).hostname or "", f"{found.url} {options}", ".json")
    text, file = shown_and_whole(json.dumps(page, ensure_ascii=False, indent=1), MAX_TEXT, name, "application/json")
    return ToolOutput(text, page, (Citation(found.url, found.title),), file=file)


def _shown(found: Parts, *, with_rows: bool, with_following: bool) -> dict[str, JSON]:
    page: dict[str, JSON] = {"url": found.url, "title": found.title}
    if with_rows:
        page["rows"] = found.rows
    elif found.fields:
        page["fields"] = found.fields
    if found.tables:
        page["tables"] = found.tables
    if found.links:
        page["links"] = found.links
    if with_following:
        page["following"] = found.following
    return page
