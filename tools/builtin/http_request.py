"""The tool `http_request`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from mimetypes import guess_extension
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from tools.addresses import is_public, read_address
from tools.errors import BadResponse, HostNotListed, NoEffect, NotConnected, SecretRefused, ToolFailed, ToolRetry
from tools.files import file_name, shown_and_whole
from tools.hosts import host_limits, is_listed
from tools.http import Admit, parse_url
from tools.registry import tool
from tools.responses import Response
from tools.types import JSON, Citation, File, ToolContext, ToolOutput

MAX_BYTES = 2_000_000
MAX_BODY = 200_000
MAX_JSON = 300_000
"""Bytes of JSON that are given as data too: of more there is the file. What was done must not fail for its answer."""
_SECRET = re.compile(r"\{secret:([A-Za-z][A-Za-z0-9_-]{0,59})\}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]{0,4000}")
_OWN = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "user-agent", "cookie"}
_SHOWN = ("content-type", "location", "retry-after", "etag", "last-modified", "link", "x-request-id")
_ASKING = ("GET", "HEAD")

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@tool(limits=host_limits, effect="unsafe", trust="untrusted", kind="act", timeout=60)
async def http_request(
    context: ToolContext,
    url: str,
    method: Method = "GET",
    headers: dict[str, str] | None = None,
    json_body: Any = None,
    body: Annotated[str, Field(max_length=MAX_BODY)] = "",
    max_characters: Annotated[int, Field(ge=200, le=100_000)] = 20_000,
) -> ToolOutput:
    """Send a request to an API, and get its answer. Only hosts that the operator or the workspace allows are reached.

    A header or the body may name a secret of the workspace as {secret:name}: its value is put in when the request is
    sent, if the secret may be sent to that host.

    Args:
        url: The full address, starting with https:// or http://.
        method: What is asked of the address.
        headers: Headers to send along, by name.
        json_body: A body to be sent as JSON.
        body: A body to be sent as it is; either this or json_body.
        max_characters: The longest text to give; of a longer one the whole is kept as a file of the run.
    """
    address = parse_url(url)
    admit = await _listed(context)
    await admit(str(address))
    given, content = await _filled_in(context, str(address), headers or {}, json_body, body)
    if method not in _ASKING:
        given.setdefault("idempotency-key", context.idempotency_key)
    try:
        response = await context.http.request(
            method, str(address), headers=given, content=content, max_bytes=MAX_BYTES, timeout=50, admit=admit
        )
    except NotConnected as error:
        raise NoEffect(str(error)) from error
    except ToolRetry as error:
        if method in _ASKING:
            raise NoEffect(str(error)) from error
        raise
    return _output(method, response, max_characters)


async def _listed(context: ToolContext) -> Admit:
    hosts = await context.request_hosts()

    async def admit(url: str) -> None:
        host = urlsplit(url).hostname or ""
        if not is_listed(host, hosts):
            raise HostNotListed(
                f"Requests may not be sent to {host}. Allowed are: {', '.join(hosts) or 'none'}. An operator allows a "
                "host by REQUEST_HOSTS, an administrator of the workspace by setting a secret for it."
            )

    return admit


async def _filled_in(
    context: ToolContext, url: str, headers: Mapping[str, str], json_body: JSON, body: str
) -> tuple[dict[str, str], bytes | None]:
    """Check headers and body, and put secrets in."""
    if json_body is not None and body:
        raise ToolFailed("Give either body or json_body, not both.")
    named = {name for text in _texts([dict(headers), json_body, body]) for name in _SECRET.findall(text)}
    values = {name: await _secret(context, url, name) for name in sorted(named)}

    def fill(text: str) -> str:
        return _SECRET.sub(lambda found: values[found[1]], text)

    given = {}
    for name, value in headers.items():
        filled = fill(value)
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN or name.lower().startswith("proxy-"):
            raise ToolFailed(f"The header {name[:100]!r} can't be set.")
        if not _HEADER_VALUE.fullmatch(filled):
            raise ToolFailed(f"The value of the header {name!r} can't be sent; it is one line of ASCII.")
        given[name.lower()] = filled
    if json_body is not None:
        given.setdefault("content-type", "application/json")
        return given, json.dumps(_walk(json_body, fill)).encode()
    return given, fill(body).encode("utf-8", "replace") if body else None


async def _secret(context: ToolContext, url: str, name: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    literal = read_address(host)
    is_private = host == "localhost" or (literal is not None and not is_public(literal))
    if parts.scheme != "https" and not is_private:
        raise SecretRefused(f"The secret {name!r} is sent by https:// only.")
    return await context.secret(name, host=host)


def _texts(value: JSON) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for key, item in value.items() for text in (key, *_texts(item))]
        case list():
            return [text for item in value for text in _texts(item)]
    return []


def _walk(value: JSON, change: Any) -> JSON:
    match value:
        case str():
            return change(value)
        case dict():
            return {change(key): _walk(item, change) for key, item in value.items()}
        case list():
            return [_walk(item, change) for item in value]
    return value


def _output(method: Method, response: Response, max_characters: int) -> ToolOutput:
    kind = response.media_type
    is_text = kind.startswith("text/") or "json" in kind or "xml" in kind or not kind or "urlencoded" in kind
    name = file_name(urlsplit(response.url).hostname or "", f"{method} {response.url}", guess_extension(kind) or "")
    if is_text:
        text, file = shown_and_whole(response.text(), max_characters, name, kind or "text/plain")
    else:
        text, file = f"[{len(response.body):,} bytes of {kind}]", File(name, kind, response.body)
    parsed: JSON = None
    if "json" in kind and len(response.body) <= MAX_JSON:
        try:
            parsed = response.json()
        except BadResponse:
            parsed = None  # It says that it is JSON; the text shows what it is.
    headers = {name: response.headers[name] for name in _SHOWN if name in response.headers}
    data = {"url": response.url, "status": response.status, "headers": headers, "json": parsed}
    told = f"{method} {response.url} → {response.status}\n\n{text}"
    return ToolOutput(told, data, (Citation(response.url, f"{method} {response.url}"),), file=file)
