"""The HTTP clients of models: one per address and key, for each event loop its own. Imported in workers only."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import httpx2
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from agents.llm.config import Endpoint
from agents.llm.guarding import GuardedTransport

TIMEOUT = httpx2.Timeout(connect=10, read=300, write=60, pool=60)
"""A model may think for minutes before its first word; a whole step is bounded by the step's own timeout."""

LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)

NO_KEY = "no-key"
"""Sent to servers that want none; the client libraries refuse to start without one."""

MOST = 100
"""How many clients of one loop stay open while nobody uses them."""

Client = AsyncOpenAI | AsyncAnthropic
_Address = tuple[str, str, str, bool]


@dataclass(slots=True)
class _Shared:
    client: Client
    users: int = 0


class Clients:
    """Gives clients out and keeps them open; those that nobody uses make room for others, the longest unused first."""

    def __init__(self) -> None:
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, OrderedDict[_Address, _Shared]] = WeakKeyDictionary()

    @asynccontextmanager
    async def lend(self, endpoint: Endpoint) -> AsyncIterator[Client]:
        """Give the client of an endpoint, to be used within the block."""
        known = self._loops.setdefault(asyncio.get_running_loop(), OrderedDict())
        address = (endpoint.kind, endpoint.base_url, endpoint.api_key, endpoint.guarded)
        if address not in known:
            known[address] = _Shared(_make(endpoint))
        shared = known[address]
        known.move_to_end(address)
        shared.users += 1
        try:
            yield shared.client
        finally:
            shared.users -= 1
            await _make_room(known)

    async def aclose(self) -> None:
        """Close the clients of the running loop."""
        for shared in self._loops.pop(asyncio.get_running_loop(), {}).values():
            await shared.client.close()


async def _make_room(known: OrderedDict[_Address, _Shared]) -> None:
    idle = [address for address, shared in known.items() if not shared.users]
    for address in idle[: max(0, len(known) - MOST)]:
        await known.pop(address).client.close()


def _make(endpoint: Endpoint) -> Client:
    if endpoint.guarded:
        http = httpx2.AsyncClient(timeout=TIMEOUT, transport=GuardedTransport(LIMITS), trust_env=False)
    else:
        http = httpx2.AsyncClient(timeout=TIMEOUT, limits=LIMITS)
    make = AsyncAnthropic if endpoint.kind == "anthropic" else AsyncOpenAI
    return make(
        api_key=endpoint.api_key or NO_KEY,
        base_url=endpoint.base_url or None,
        max_retries=0,
        timeout=TIMEOUT,
        http_client=http,
    )
