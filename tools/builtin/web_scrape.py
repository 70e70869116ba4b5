"""The tool `web_scrape`."""

from __future__ import annotations

import json
from collections import deque
from importlib import import_module
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import Field

from tools.errors import ToolFailed, UnsupportedContent
from tools.hosts import host_limits
from tools.registry import tool
from tools.robots import robots_of
from tools.text import shorten
from tools.threads import run_in_thread
from tools.types import JSON, Citation, Retry, ToolContext, ToolOutput

if TYPE_CHECKING:
    from tools.builtin.markup import Parts

MAX_BYTES = 5_000_000
MAX_PAGES = 50
MAX_FIELDS = 20
MAX_DATA = 800_000
PAUSE = 0.25
"""Seconds between two pages of a site that does not say how long it wants."""
_HTML = ("text/html", "application/xhtml+xml", "")

Name = Annotated[str, Field(min_length=1, max_length=60)]
Selector = Annotated[str, Field(max_length=200)]


@tool(limits=host_limits, effect="none", trust="untrusted", kind="search", timeout=600, retry=Retry(max_attempts=3))
async def web_scrape(
    context: ToolContext,
    url: str,
    fields: Annotated[dict[Name, Selector] | None, Field(max_length=MAX_FIELDS)] = None,
    rows: Selector = "",
    tables: bool = False,
    links: bool = False,
    follow: Selector = "",
    max_pages: Annotated[int, Field(ge=1, le=MAX_PAGES)] = 1,
) -> ToolOutput:
    """Take fields, tables and links out of a web page by CSS selectors, and of the pages of the same site it leads to.

    Args:
        url: The full address of the first page.
        fields: What to take, by name: a CSS selector, and perhaps an attribute after @, as in "a.more@href".
        rows: A selector of repeated elements; fields are then looked for within each and become one record.
        tables: Whether to give the tables.
        links: Whether to give all links.
        follow: A selector of links to further pages of the same site, as in "a.next".
        max_pages: How many pages to read at most.
    """
    # lxml takes a while to import and only workers that scrape need it.
    markup = await run_in_thread(import_module, "tools.builtin.markup")
    for selector in (*(fields or {}).values(), rows, follow):
        markup.read_wanted(selector)
    robots, host = robots_of(context.http), urlsplit(url).hostname
    pages: list[JSON] = []
    waiting, known, size = deque([url]), {url}, 0
    while waiting and len(pages) < max_pages:
        if pages:
            await context.sleep(max(PAUSE, await robots.delay(url)))
        here = waiting.popleft()
        response = await context.http.get(here, max_bytes=MAX_BYTES, timeout=40, admit=robots.admit)
        response.check(context.now())
        if response.media_type not in _HTML:
            raise UnsupportedContent(f"{response.url} is {response.media_type}, not a page in HTML.")
        options = {"fields": fields or {}, "rows": rows, "tables": tables, "links": links, "follow": follow}
        found: Parts = await run_in_thread(markup.take_apart, response.text(), response.url, **options)
        for target in found.following:
            if urlsplit(target).hostname == host and target not in known:
                known.add(target)
                waiting.append(target)
        page = _shown(found, with_rows=bool(rows))
        size += len(json.dumps(page))
        if size > MAX_DATA:
            if not pages:
                raise ToolFailed("The page holds too much for one answer; choose narrower selectors.")
            break
        pages.append(page)
    left = len(waiting) if follow else 0
    text = json.dumps(pages, ensure_ascii=False, indent=1)
    if left:
        text += f"\n\n[{left} more pages were found and not read.]"
    cited = tuple(Citation(page["url"], page["title"]) for page in pages)
    return ToolOutput(shorten(text, 50_000), {"pages": pages, "not_read": left}, cited)


def _shown(found: Parts, *, with_rows: bool) -> JSON:
    page: dict[str, JSON] = {"url": found.url, "title": found.title}
    if with_rows:
        page["rows"] = found.rows
    elif found.fields:
        page["fields"] = found.fields
    if found.tables:
        page["tables"] = found.tables
    if found.links:
        page["links"] = found.links
    return page
