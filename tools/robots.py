"""Being a polite visitor: what sites want of programs, by their robots.txt, and how many requests come at once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary, WeakValueDictionary

from django.conf import settings
from protego import Protego

from tools.errors import BadResponse, ResponseTooLarge, RobotsRefused, ToolRetry
from tools.http import Outbound

AGENT = "agentsite"
AGE = 3600.0
"""Seconds after which a site is asked again."""
MOST = 1000
"""Sites that are remembered."""
MAX_BYTES = 512_000
TIMEOUT = 10.0
LONGEST_DELAY = 30.0
AT_ONCE = 6
"""Requests that one process has under way to one site, as browsers do, whatever limits an operator sets beside it."""


@dataclass(frozen=True, slots=True)
class _Rules:
    read_at: float
    rules: Protego | None
    """None: the site says nothing, so all is allowed."""


class Robots:
    """The rules of the sites that one client fetches from."""

    def __init__(self, client: Outbound, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: OrderedDict[str, _Rules] = OrderedDict()
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        # Forgotten when nobody is at the site any more.
        self._places: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def visit(self, url: str) -> AsyncIterator[None]:
        """Be at a site, one of at most AT_ONCE."""
        place = self._places.setdefault(_origin(url), asyncio.Semaphore(AT_ONCE))
        async with place:
            yield

    async def admit(self, url: str) -> None:
        """Raise RobotsRefused if the site does not want this address to be fetched, ToolRetry if it can't say now."""
        rules = await self._rules(url)
        if rules is not None and not rules.can_fetch(url, AGENT):
            raise RobotsRefused(f"The robots.txt of {urlsplit(url).hostname} does not want {url} to be fetched.")

    async def delay(self, url: str) -> float:
        """Give the seconds that the site wants between two requests; 0 if it does not say."""
        rules = await self._rules(url)
        return min(float((rules.crawl_delay(AGENT) if rules else None) or 0.0), LONGEST_DELAY)

    async def _rules(self, url: str) -> Protego | None:
        if not settings.RESPECT_ROBOTS:
            return None
        origin = _origin(url)
        # Hundreds of runs may come to a site at once: one of them asks.
        async with self._asking[origin]:
            known = self._known.get(origin)
            if known is None or self._clock() - known.read_at > AGE:
                known = self._known[origin] = _Rules(self._clock(), await self._ask(origin))
                if len(self._known) > MOST:
                    forgotten, _ = self._known.popitem(last=False)
                    self._asking.pop(forgotten, None)
            return known.rules

    async def _ask(self, origin: str) -> Protego | None:
        try:
            response = await self._client.get(f"{origin}/robots.txt", timeout=TIMEOUT, max_bytes=MAX_BYTES)
        except ResponseTooLarge as error:
            raise RobotsRefused(f"The robots.txt of {origin} is too large to be read.") from error
        except BadResponse:
            return None
        if response.status == 429 or response.status >= 500:
            raise ToolRetry(f"{origin} can't say at the moment what it allows: its robots.txt is not served.")
        return Protego.parse(response.text()) if response.status < 400 else None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


_of_clients: WeakKeyDictionary[Outbound, Robots] = WeakKeyDictionary()


def robots_of(client: Outbound) -> Robots:
    """Give the rules that this client keeps to."""
    found = _of_clients.get(client)
    if found is None:
        found = _of_clients[client] = Robots(client)
    return found
