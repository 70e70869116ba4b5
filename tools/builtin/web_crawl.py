"""The tool `web_crawl`: many pages, each read by a call of `web_scrape` of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urldefrag, urlsplit

from pydantic import Field

from tools.builtin.web_scrape import Fields, Selector
from tools.errors import ToolFailed
from tools.registry import tool
from tools.text import shorten
from tools.types import JSON, Citation, ToolOutput

MAX_PAGES = 500
MAX_SIZE = 10_000_000
"""Characters of JSON after which no further pages are read."""
MAX_TEXT = 30_000
MAX_CITED = 200
MAX_FAILED = 20

Address = Annotated[str, Field(min_length=1, max_length=4096)]


@tool(effect="none", trust="untrusted", kind="search", durable="crawl")
async def web_crawl(
    urls: Annotated[list[Address], Field(min_length=1, max_length=MAX_PAGES)],
    fields: Fields = None,
    rows: Selector = "",
    tables: bool = False,
    links: bool = False,
    follow: Selector = "",
    max_pages: Annotated[int, Field(ge=1, le=MAX_PAGES)] = 50,
) -> ToolOutput:
    """Take fields, tables and links out of many web pages: those named, and those of the same sites they lead to.

    Args:
        urls: The full addresses of the pages to begin with.
        fields: What to take of each, by name: a CSS selector, and perhaps an attribute after @, as in "a.more@href".
        rows: A selector of repeated elements; fields are then looked for within each and become one record.
        tables: Whether to give the tables.
        links: Whether to give all links.
        follow: A selector of links to further pages of the same sites, as in "a.next".
        max_pages: How many pages to read at most.
    """
    # The workflow reads the pages, each by a step of its own: whoever calls this as an ordinary tool has no such steps.
    raise ToolFailed("Many pages do not fit into one tool call; a workflow reads them one by one, by web_scrape.")


class Walk:
    """Which pages are read and which come next: first those named, then those of the same sites they lead to."""

    def __init__(self, urls: Sequence[str], most: int) -> None:
        self.pages: list[dict[str, JSON]] = []
        self.failed: list[dict[str, str]] = []
        self._coming = list(dict.fromkeys(urldefrag(url.strip()).url for url in urls))
        self._known = set(self._coming)
        self._hosts = {host_of(url) for url in self._coming}
        self._most = most
        self._size = 0

    def next(self) -> dict[str, list[str]]:
        """Give the addresses to read next, by host; none when all is read that may be."""
        room = self._most - len(self.pages) - len(self.failed) if self._size < MAX_SIZE else 0
        level, self._coming = self._coming[:room], self._coming[room:]
        sites: dict[str, list[str]] = {}
        for url in level:
            sites.setdefault(host_of(url), []).append(url)
        return sites

    def take(self, page: dict[str, JSON]) -> None:
        """Take what web_scrape gave."""
        for target in page.get("following", ()):
            if host_of(target) in self._hosts and target not in self._known:
                self._known.add(target)
                self._coming.append(target)
        taken = {name: value for name, value in page.items() if name not in ("following", "pause")}
        self.pages.append(taken)
        self._size += len(json.dumps(taken))

    def miss(self, url: str, why: str) -> None:
        """Take note of a page that can't be read."""
        self.failed.append({"url": url, "why": why})

    def output(self, file: str = "") -> ToolOutput:
        """Give what was found. `file` is the name of the artifact that holds all of it."""
        text = shorten(json.dumps(self.pages, ensure_ascii=False, indent=1), MAX_TEXT)
        notes = [f"[{len(self.pages)} pages were read{f'; {file} holds all of them' if file else ''}.]"]
        if self._coming:
            notes.append(f"[{len(self._coming)} more pages were found and not read.]")
        notes += [f"[Not read: {one['url']}: {one['why']}]" for one in self.failed[:MAX_FAILED]]
        if len(self.failed) > MAX_FAILED:
            notes.append(f"[Not read: {len(self.failed) - MAX_FAILED} others.]")
        data = {"pages": self.pages, "failed": self.failed, "not_read": len(self._coming)}
        cited = [Citation(page["url"], page["title"]) for page in self.pages[:MAX_CITED]]
        return ToolOutput("\n".join([text, "", *notes]), data, tuple(cited))

    @property
    def is_cut(self) -> bool:
        """Whether the pages are more than the text shows."""
        return self._size > MAX_TEXT // 2


def host_of(url: str) -> str:
    """Give the host of an address; "" for what is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
