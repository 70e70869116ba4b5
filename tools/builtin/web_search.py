"""The tool `web_search`: a port for search engines, with SearXNG behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol
from urllib.parse import urlencode

from django.conf import settings
from pydantic import Field

from tools.errors import BadResponse, ToolFailed
from tools.http import Outbound
from tools.registry import tool
from tools.types import Citation, Retry, ToolContext, ToolOutput

MAX_BYTES = 2_000_000
MAX_SNIPPET = 500


@dataclass(frozen=True, slots=True)
class Hit:
    """A page that a search engine found."""

    url: str
    title: str
    snippet: str


class SearchEngine(Protocol):
    """Finds pages of the web."""

    async def find(self, client: Outbound, query: str, language: str) -> Sequence[Hit]:
        """Give the pages that fit a query, best first."""
        ...


@dataclass(frozen=True, slots=True)
class SearXNG:
    """A SearXNG server, whose settings must allow answers in JSON."""

    address: str

    async def find(self, client: Outbound, query: str, language: str) -> Sequence[Hit]:
        asked = {"q": query, "format": "json"} | ({"language": language} if language else {})
        response = await client.get(f"{self.address}/search?{urlencode(asked)}", max_bytes=MAX_BYTES, timeout=20)
        answer = response.check().json()
        found = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(found, list):
            raise BadResponse("The search engine answered what is no list of results.")
        return [hit for one in found if (hit := _hit(one)) is not None]


def _hit(found: Any) -> Hit | None:
    url = found.get("url") if isinstance(found, dict) else None
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return None
    return Hit(url[:2000], str(found.get("title") or url)[:300], str(found.get("content") or "")[:MAX_SNIPPET])


def engine() -> SearchEngine:
    """Give the engine that the operator has set up; raises ToolFailed if there is none."""
    if not settings.SEARXNG_URL:
        raise ToolFailed("No search engine is set up here: an operator names a SearXNG server by SEARXNG_URL.")
    return SearXNG(settings.SEARXNG_URL)


@tool(
    effect="none",
    trust="untrusted",
    kind="search",
    timeout=40,
    retry=Retry(max_attempts=3),
    limits=["search:web"],
    cache=300,
)
async def web_search(
    context: ToolContext,
    query: Annotated[str, Field(min_length=1, max_length=500)],
    limit: Annotated[int, Field(ge=1, le=20)] = 8,
    language: Annotated[str, Field(pattern=r"^([a-z]{2}(-[A-Z]{2})?)?$")] = "",
) -> ToolOutput:
    """Search the web and get addresses, titles and short excerpts. Read a page itself by web_fetch.

    Args:
        query: What to look for.
        limit: How many results to give at most.
        language: The language of the results, as in en or de-CH; empty: any.
    """
    hits = (await engine().find(context.http, query, language))[:limit]
    if not hits:
        return ToolOutput(f"The search engine found nothing on: {query}", {"results": []})
    lines = [f"{number}. {hit.title}\n{hit.url}\n{hit.snippet}" for number, hit in enumerate(hits, 1)]
    data = {"results": [{"url": hit.url, "title": hit.title, "snippet": hit.snippet} for hit in hits]}
    return ToolOutput("\n\n".join(lines), data, tuple(Citation(hit.url, hit.title, hit.snippet) for hit in hits))
