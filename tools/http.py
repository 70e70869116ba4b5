"""The one client for requests to the outside.

Whatever an agent can be talked into fetching goes through here. Each hop's host is resolved and all its addresses are
checked before anybody connects; the connection is then made by httpx-secure, which checks the one address that it has
chosen and connects to exactly that, so that a name which changes its meaning in between (DNS rebinding) gains nothing.
Time, size, redirects and packing are bounded. No cookies are kept; proxies and .netrc of the environment are ignored.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Self
from weakref import WeakKeyDictionary

import httpx
from django.conf import settings
from httpx_secure import SSRFProtectionError, httpx_ssrf_protection

from tools.addresses import Address, AddressPolicy, read_address
from tools.bodies import ACCEPT_ENCODING, read_body, too_large
from tools.errors import AddressRefused, BadResponse, ConnectionFailed, NotConnected, TooManyRedirects, Unreachable
from tools.responses import Response

MAX_REDIRECTS = 5
MAX_BYTES = 10_000_000
TIMEOUT = 30.0
_CONNECT_TIMEOUT = 10.0
_MAX_URL = 4096
_KEEP_ALIVE = 15.0
_HOST = re.compile(rb"[A-Za-z0-9._:-]+")
_REDIRECTS = {301, 302, 303, 307, 308}
_KEPT_ACROSS_ORIGINS = {"accept", "accept-language", "content-type"}
_OWN_HEADERS = {"host", "accept-encoding", "connection", "content-length", "transfer-encoding", "user-agent"}


Admit = Callable[[str], Awaitable[None]]
"""Looks at the address of each hop, before anything is sent there, and raises if it is not to be fetched."""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: httpx.URL
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    admit: Admit | None = None
    follow: bool = True
    cut: bool = False


class Outbound:
    """A guarded client. It belongs to the event loop it is first used in."""

    def __init__(
        self,
        *,
        allowed_networks: Iterable[str] = (),
        max_bytes: int = MAX_BYTES,
        timeout: float = TIMEOUT,
        contact: str = "",
    ) -> None:
        self._policy = AddressPolicy.of(allowed_networks)
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._client = _make_client(self._policy, contact)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that are kept open."""
        await self._client.aclose()

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        max_bytes: int | None = None,
        admit: Admit | None = None,
    ) -> Response:
        """Fetch an address; see `request`."""
        return await self.request("GET", url, headers=headers, timeout=timeout, max_bytes=max_bytes, admit=admit)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float | None = None,
        max_bytes: int | None = None,
        admit: Admit | None = None,
        follow: bool = True,
        cut: bool = False,
    ) -> Response:
        """Send a request, follow its redirects and read the answer, whatever its status, to its end.

        `timeout` is for all of that together, in seconds; `admit` is asked about each hop. Without `follow` a redirect
        is an answer like any other. With `cut` no more of the answer is read than the beginning, of `max_bytes` at
        most, and one whose body can't be unpacked comes without it. Raises ToolFailed (AddressRefused, BadResponse,
        Unreachable) for what will not change and ToolRetry (ConnectionFailed) for what may.
        """
        given = _given_headers(headers or {})
        request = _Request(method.upper(), parse_url(url), given, content, admit, follow, cut)
        limit = self._max_bytes if max_bytes is None else max_bytes
        seconds = self._timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                return await self._follow(request, limit)
        except TimeoutError as error:
            raise ConnectionFailed(f"{request.url.host} did not answer within {seconds:g} s.") from error

    async def _follow(self, request: _Request, limit: int) -> Response:
        for _ in range(MAX_REDIRECTS + 1):
            if request.admit is not None:
                await request.admit(str(request.url))
            await self._admit(request.url)
            answer = await self._send(request, limit)
            if isinstance(answer, Response):
                return answer
            request = answer
        raise TooManyRedirects(f"{request.url.host} led through more than {MAX_REDIRECTS} redirects.")

    async def _admit(self, url: httpx.URL) -> None:
        """Refuse a host if any of its addresses is out of bounds, before anybody connects to it."""
        port = url.port or (443 if url.scheme == "https" else 80)
        await admitted_addresses(self._policy, url.raw_host.decode("ascii"), port, name=url.host)

    async def _send(self, request: _Request, limit: int) -> Response | _Request:
        """Give the answer, or the request that it redirects to."""
        built = self._client.build_request(
            request.method, request.url, headers=dict(request.headers), content=request.content
        )
        try:
            response = await self._client.send(built, stream=True)
            try:
                is_redirect = response.status_code in _REDIRECTS and "location" in response.headers
                if is_redirect and request.follow:
                    return _redirected(request, response.status_code, response.headers["location"])
                return await (_read_beginning(response, limit) if request.cut else _read(response, limit))
            finally:
                await response.aclose()
        except SSRFProtectionError as error:
            raise _refused(error.hostname, str(error.ip_addr)) from error
        except httpx.TransportError as error:
            raise _explained(request.url.host, error) from error


def _make_client(policy: AddressPolicy, contact: str) -> httpx.AsyncClient:
    client = httpx.AsyncClient(
        verify=tls(),
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT),
        limits=httpx.Limits(max_connections=200, max_keepalive_connections=20, keepalive_expiry=_KEEP_ALIVE),
        headers={"User-Agent": user_agent(contact), "Accept-Encoding": ACCEPT_ENCODING, "Accept": "*/*"},
    )
    return httpx_ssrf_protection(
        client,
        check_globally_reachable=False,  # The policy below decides alone; it is stricter.
        custom_validator=lambda _host, address, _port: policy.admits(address),
        dns_cache_ttl=_KEEP_ALIVE,
    )


@cache
def tls() -> ssl.SSLContext:
    """Give what certificates are checked by."""
    # Reading the certificates takes some 20 ms, so all clients share them. SSL_CERT_FILE is honoured.
    return httpx.create_ssl_context(trust_env=True)


def user_agent(contact: str = "") -> str:
    """Say honestly who is asking, and where to complain."""
    try:
        name = f"agentsite/{version('agentsite')}"
    except PackageNotFoundError:
        name = "agentsite"
    return f"{name} (+{contact})" if contact else name


def parse_url(text: str) -> httpx.URL:
    """Read an address of the web; raises AddressRefused for everything else."""
    text = text.strip()
    if len(text) > _MAX_URL:
        raise AddressRefused(f"The address is longer than {_MAX_URL:,} characters.")
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise AddressRefused(f"{text[:200]!r} is no address: {error}.") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise AddressRefused(f"{text[:200]!r} is no address of the web; it starts with http:// or https://.")
    if not _HOST.fullmatch(url.raw_host):
        raise AddressRefused(f"{url.host[:200]!r} is no name of a host.")
    if url.userinfo:
        raise AddressRefused("An address with a user name or a password in it is not fetched.")
    return url


async def admitted_addresses(policy: AddressPolicy, host: str, port: int, *, name: str = "") -> list[Address]:
    """Give the addresses of a host; raises AddressRefused if any of them is out of bounds.

    Raises Unreachable for a host that is none, NotConnected for one that can't be looked up at the moment. `name` is
    what people call it.
    """
    addresses = await _resolve(host, port)
    for address in addresses:
        if not policy.admits(address):
            raise _refused(name or host, str(address))
    return addresses


async def _resolve(host: str, port: int) -> list[Address]:
    if literal := read_address(host):
        return [literal]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise NotConnected(f"The name {host} can't be resolved at the moment.") from error
        raise Unreachable(f"There is no host named {host}.") from error
    except (UnicodeError, OSError) as error:
        raise Unreachable(f"There is no host named {host}.") from error
    addresses = [read_address(str(entry[4][0])) for entry in found]
    return [address for address in addresses if address is not None]


def _refused(host: str, address: str) -> AddressRefused:
    what = host if host == address else f"{host} ({address})"
    return AddressRefused(
        f"{what} is not on the public internet and may not be reached."
        " An operator can allow its network by ALLOWED_NETWORKS."
    )


def _given_headers(headers: Mapping[str, str]) -> dict[str, str]:
    given = {name.lower(): value for name, value in headers.items()}
    if own := sorted(_OWN_HEADERS & given.keys()):
        raise ValueError(f"The client sets {', '.join(own)} itself.")
    return given


def _redirected(request: _Request, status: int, location: str) -> _Request:
    try:
        target = parse_url(str(request.url.join(location)))
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise BadResponse(f"{request.url.host} redirects to what is no address.") from error
    following = replace(request, url=target)
    if status == 303 or (status in (301, 302) and request.method == "POST"):
        following = replace(following, method="HEAD" if request.method == "HEAD" else "GET", content=None)
    if _origin(target) == _origin(request.url):
        return following
    if following.content is not None or following.method not in ("GET", "HEAD"):
        raise BadResponse(f"{request.url.host} redirects to {target.host}; what was sent is not handed on to others.")
    # Keys and tokens are meant for the host they were given for.
    kept = {name: value for name, value in request.headers.items() if name in _KEPT_ACROSS_ORIGINS}
    return replace(following, headers=kept)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _read(response: httpx.Response, limit: int) -> Response:
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise too_large(limit)
    body = await read_body(response.aiter_raw(), encoding=response.headers.get("content-encoding", ""), limit=limit)
    return Response(str(response.url), response.status_code, dict(response.headers), body)


async def _read_beginning(response: httpx.Response, limit: int) -> Response:
    encoding = response.headers.get("content-encoding", "")
    try:
        body = await read_body(response.aiter_raw(), encoding=encoding, limit=limit, cut=True)
    except BadResponse:
        body = b""
    return Response(str(response.url), response.status_code, dict(response.headers), body)


def _explained(host: str, error: httpx.TransportError) -> BadResponse | ConnectionFailed:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return BadResponse(f"The certificate of {host} is not valid: {cause.verify_message}.")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return NotConnected(f"{host} can't be reached in time.")
    if isinstance(error, httpx.TimeoutException):
        return ConnectionFailed(f"{host} did not answer in time.")
    if isinstance(error, httpx.ConnectError):
        return NotConnected(f"{host} can't be reached.")
    return ConnectionFailed(f"The connection to {host} broke off.")


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, Outbound] = WeakKeyDictionary()


def outbound() -> Outbound:
    """Give the running event loop's client, made by the settings at its first use."""
    loop = asyncio.get_running_loop()
    client = _shared.get(loop)
    if client is None:
        client = _shared[loop] = Outbound(allowed_networks=settings.ALLOWED_NETWORKS, contact=settings.PUBLIC_URL)
    return client
