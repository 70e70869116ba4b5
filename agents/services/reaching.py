"""Whether requests may go where somebody wants them to: asked when an address is kept, and anew by each request."""

from __future__ import annotations

import asyncio
from typing import Final

from django.conf import settings

from tools.addresses import AddressPolicy
from tools.errors import AddressRefused, ToolsError
from tools.http import admitted_addresses, parse_url

LOOK_UP_SECONDS: Final = 5.0


def check_host(address: str) -> None:
    """Raise AddressRefused where what is not on the public internet lacks the operator's leave."""
    url = parse_url(address)
    asyncio.run(_look_up(url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)))


async def _look_up(host: str, port: int) -> None:
    try:
        async with asyncio.timeout(LOOK_UP_SECONDS):
            await admitted_addresses(AddressPolicy.of(settings.ALLOWED_NETWORKS), host, port)
    except AddressRefused:
        raise
    except (ToolsError, TimeoutError):
        # A name that can't be looked up now: each request looks anew, by the same rules.
        return
