"""Requests to addresses that workspaces have named: they go where the operator's rules let them, and nowhere else.

Imported in workers only, with the client library.
"""

from __future__ import annotations

import httpx2
from django.conf import settings

from tools.addresses import AddressPolicy
from tools.http import admitted_addresses, tls


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Resolves the host itself, refuses it if any of its addresses is out of bounds, and connects to what it checked.

    So a name that changes its meaning in between gains nothing. Redirects are not followed, and proxies and .netrc of
    the environment not heeded.
    """

    def __init__(self, limits: httpx2.Limits) -> None:
        self._policy = AddressPolicy.of(settings.ALLOWED_NETWORKS)
        self._inner = httpx2.AsyncHTTPTransport(verify=tls(), trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        host = url.raw_host.decode("ascii")
        addresses = await admitted_addresses(self._policy, host, url.port or (443 if url.scheme == "https" else 80))
        for last, address in ((address is addresses[-1], address) for address in addresses):
            pinned = httpx2.Request(
                request.method,
                url.copy_with(host=str(address)),
                # Its Host is that of the name still.
                headers=request.headers,
                stream=request.stream,
                # The certificate has to be the name's.
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if last:
                    raise
        raise httpx2.ConnectError(f"{host} has no address", request=request)

    async def aclose(self) -> None:
        await self._inner.aclose()
