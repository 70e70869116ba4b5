"""A cable between a worker's machine and the database, which can be cut: bytes on their way wait, nobody is told.

For the worker PostgreSQL is at an address of this machine; the proxy passes on to the test server's unix socket.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import unquote, urlsplit, urlunsplit

BLOCK = 65_536
PATIENCE = 10.0


class Proxy:
    """Passes bytes on in both directions, on a thread of its own; `url` is the database's address through it."""

    def __init__(self, database_url: str, host: str = "127.0.0.1") -> None:
        self._target = f"{unquote(urlsplit(database_url).netloc.rpartition('@')[2])}/.s.PGSQL.5432"
        self._database_url = database_url
        self._host = host
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._is_whole = asyncio.Event()
        self._is_listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        parts = urlsplit(self._database_url)
        user = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{user}@{self._host}:{self._port}"))

    def cut(self) -> None:
        """Hold back all bytes from now on; connections stay, and new ones are taken and get no answer."""
        self._loop.call_soon_threadsafe(self._is_whole.clear)

    def mend(self) -> None:
        """Pass on what was held back, and all that follows."""
        self._loop.call_soon_threadsafe(self._is_whole.set)

    def start(self) -> None:
        self._thread.start()
        assert self._is_listening.wait(PATIENCE)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._is_whole.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._pass_on, self._host, 0))
        self._port = server.sockets[0].getsockname()[1]
        self._is_listening.set()
        self._loop.run_forever()
        server.close()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._is_whole.wait()
        far_reader, far_writer = await asyncio.open_unix_connection(self._target)
        try:
            # Cancelled, it ends: asyncio's server would report each connection that is still open when a test stops.
            with suppress(asyncio.CancelledError):
                await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            far_writer.close()
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(BLOCK):
                await self._is_whole.wait()
                writer.write(data)
                await writer.drain()
        await self._is_whole.wait()
        writer.close()


@contextmanager
def proxy_before(database_url: str, host: str = "127.0.0.1") -> Iterator[Proxy]:
    """Give a proxy before a database on a unix socket."""
    proxy = Proxy(database_url, host)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
