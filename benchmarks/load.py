"""A client that queues runs over HTTP: `python -m benchmarks.load PORT TOKEN CLIENTS SECONDS`.

A process of its own, and little more than a socket per client, so that it takes little from what it measures. Prints
the seconds each request took, as a JSON list.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

BODY = json.dumps({"workflow": "bench_nothing", "input": {"goal": "count me"}})


class Refused(Exception):
    """The server answered something other than 202."""


async def post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    """Send a request and read its answer to the end."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = next(int(line[15:]) for line in head.lower().splitlines() if line.startswith("content-length:"))
    body = await reader.readexactly(length)
    if head.split()[1] != "202":
        raise Refused(f"{head}{body.decode()}")


async def client(port: int, request: bytes, until: float, taken: list[float]) -> None:
    """Post one request after the other on one connection until the time is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (began := time.monotonic()) < until:
        await post(reader, writer, request)
        taken.append(time.monotonic() - began)
    writer.close()
    await writer.wait_closed()


async def main(port: int, token: str, clients: int, seconds: float) -> list[float]:
    """Let so many clients post for so long."""
    head = (
        "POST /api/v1/runs HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(BODY)}",
    )
    request = "\r\n".join((*head, "", BODY)).encode()
    taken: list[float] = []
    until = time.monotonic() + seconds
    await asyncio.gather(*(client(port, request, until, taken) for _ in range(clients)))
    return taken


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))))
