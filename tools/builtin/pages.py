"""Fetching a page of the web as a polite visitor does."""

from __future__ import annotations

from tools.http import parse_url
from tools.responses import Response
from tools.robots import robots_of
from tools.types import ToolContext

MAX_BYTES = 5_000_000
TIMEOUT = 40.0


async def get_page(context: ToolContext, url: str) -> Response:
    """Fetch a page if its site's robots.txt does not mind; raises ToolFailed, and ToolRetry for what may pass."""
    address, robots = str(parse_url(url)), robots_of(context.http)
    async with robots.visit(address):
        response = await context.http.get(address, max_bytes=MAX_BYTES, timeout=TIMEOUT, admit=robots.admit)
    return response.check(context.now())
