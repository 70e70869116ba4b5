"""A small real HTTP server for the outbound client's tests: what it sends is written byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class LocalServer:
    """Answers each path with the bytes or the handler of `routes`; keeps what was asked in `seen`."""

    port: int = 0
    routes: dict[str, bytes | Handler] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode().rstrip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            await reader.readexactly(int(headers.get("content-length", "0")))
            self.seen.append((first, headers))
            answer = self.routes.get(first.split()[1], reply(b"not here", status="404 Not Found"))
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(writer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The client went away, as some tests want it to.
        finally:
            writer.close()


def reply(body: bytes = b"", *, status: str = "200 OK", **headers: str) -> bytes:
    """Write an answer; header names are given with _ for -."""
    given = {"content-length": str(len(body)), "connection": "close"}
    given.update((name.replace("_", "-"), value) for name, value in headers.items())
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    """Write a redirect."""
    return reply(status=status, location=location)


@asynccontextmanager
async def local_server() -> AsyncIterator[LocalServer]:
    """Serve on a free port of 127.0.0.1."""
    local = LocalServer()
    server = await asyncio.start_server(local.serve, "127.0.0.1", 0)
    local.port = server.sockets[0].getsockname()[1]
    async with server:
        yield local
