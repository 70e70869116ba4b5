"""The tool `web_fetch`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from tools.builtin.pages import get_page
from tools.errors import BadResponse, UnsupportedContent
from tools.files import file_name, shown_and_whole
from tools.hosts import host_limits
from tools.registry import tool
from tools.responses import Response
from tools.threads import run_in_thread
from tools.types import Citation, Retry, ToolContext, ToolOutput

MAX_HTML = 1_500_000
"""Characters of markup that are taken apart. Five megabytes of `<br>` keep a processor busy for most of a minute."""

_HTML = {"text/html", "application/xhtml+xml"}
_JSON = {"application/json", "application/ld+json", "application/problem+json", "application/geo+json"}
_XML = {"application/xml", "application/rss+xml", "application/atom+xml"}
_READABLE = "HTML, plain text, Markdown, CSV, JSON and XML"


@dataclass(frozen=True, slots=True)
class Page:
    """A page's title and its text without navigation and markup."""

    title: str
    text: str


@tool(
    effect="none",
    trust="untrusted",
    kind="search",
    timeout=120,
    retry=Retry(max_attempts=3),
    limits=host_limits,
    cache=60,
)
async def web_fetch(
    context: ToolContext,
    url: str,
    max_characters: Annotated[int, Field(ge=200, le=100_000)] = 20_000,
) -> ToolOutput:
    """Fetch a web page and get its title and readable text. Also reads plain text, Markdown, CSV, JSON and XML.

    Sites that do not want to be read by programs (robots.txt) are not read.

    Args:
        url: The full address, starting with http:// or https://.
        max_characters: The longest text to give; of a longer one the whole is kept as a file of the run.
    """
    response = await get_page(context, url)
    page = await run_in_thread(read_page, response)
    if not page.text.strip():
        raise BadResponse(f"{response.url} has no readable text; it may need a browser to show itself.")
    name = file_name(urlsplit(response.url).hostname or "", response.url, ".txt")
    text, file = shown_and_whole(page.text, max_characters, name, "text/plain")
    return ToolOutput(
        text=text,
        data={
            "url": response.url,
            "title": page.title,
            "media_type": response.media_type,
            "characters": len(page.text),
        },
        citations=(Citation(source=response.url, title=page.title),),
        file=file,
    )


def read_page(response: Response) -> Page:
    """Make readable text of an answer; raises UnsupportedContent for what is no text."""
    kind = response.media_type or _guess(response.body)
    if kind in _HTML:
        return _read_html(response)
    if kind in _JSON or kind.endswith("+json"):
        return Page(response.url, _indented(response.text()))
    if kind.startswith("text/") or kind in _XML or kind.endswith("+xml"):
        return Page(response.url, response.text())
    raise UnsupportedContent(f"{response.url} is {kind}, which is not read. Readable are {_READABLE}.")


def _guess(body: bytes) -> str:
    """Tell what an answer without a declared type is, by its beginning."""
    beginning = body[:2048]
    if b"\0" in beginning:
        return "application/octet-stream"
    return "text/html" if beginning.lstrip().startswith(b"<") else "text/plain"


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return text


def _read_html(response: Response) -> Page:
    # trafilatura takes seconds to import and only workers that fetch need it.
    from tools.builtin.html import read_html

    html = response.text()
    title, text = read_html(html[:MAX_HTML], response.url)
    if len(html) > MAX_HTML:
        text += f"\n\n[The page goes on: only its first {MAX_HTML:,} characters were read.]"
    return Page(title or response.url, text)
