"""A client that sends requests over HTTP: `python -m benchmarks.load PORT TOKEN CLIENTS SECONDS [EVENTS]`.

It queues runs or, with EVENTS, tells of events, so many with each request. A process of its own, and little more than a
socket per client, so that it takes little from what it measures. Prints the seconds each request took, as a JSON list.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from itertools import count

RUN = json.dumps({"workflow": "bench_nothing", "input": {"goal": "count me"}})
Body = Callable[[], str]


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


async def client(port: int, head: str, body: Body, until: float, taken: list[float]) -> None:
    """Post one request after the other on one connection until the time is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < until:
        text = body()
        request = f"{head}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
        began = time.monotonic()
        await post(reader, writer, request)
        taken.append(time.monotonic() - began)
    writer.close()
    await writer.wait_closed()


def bodies(events: int) -> tuple[str, Body]:
    """Give the address and what makes the bodies: of runs, or of so many events, each with an id of its own."""
    if not events:
        return "runs", lambda: RUN
    numbers = count()

    def body() -> str:
        told = [
            {
                "name": "bench.told",
                "source": "bench",
                "id": f"{time.time_ns()}-{next(numbers)}",
                "data": {"order": 17, "total": 250, "customer": {"name": "Anna", "country": "NO"}},
            }
            for _ in range(events)
        ]
        return json.dumps(told[0] if events == 1 else told)

    return "events", body


async def main(port: int, token: str, clients: int, seconds: float, events: int = 0) -> list[float]:
    """Let so many clients post for so long."""
    address, body = bodies(events)
    head = "\r\n".join(
        (
            f"POST /api/v1/{address} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            f"Authorization: Bearer {token}",
            "Content-Type: application/json",
        )
    )
    taken: list[float] = []
    until = time.monotonic() + seconds
    await asyncio.gather(*(client(port, head, body, until, taken) for _ in range(clients)))
    return taken


if __name__ == "__main__":
    given = sys.argv[1:]
    asked = main(int(given[0]), given[1], int(given[2]), float(given[3]), *map(int, given[4:]))
    print(json.dumps(asyncio.run(asked)))
