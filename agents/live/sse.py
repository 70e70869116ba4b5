"""Server-sent events: a run's log as a stream that any HTTP client can read and resume."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

import orjson

from agents.live import access
from agents.live.access import Pass
from agents.live.hub import hub
from agents.live.messages import LiveEvent, Message

HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 1000


async def stream(run: UUID, *, after: int, right: Pass) -> AsyncGenerator[bytes, None]:
    """Write the events of a run after a number, until it has ended or the right to read it has.

    Each event carries its number as id, so that a client that reconnects names it in Last-Event-ID. Streamed text and
    the run's state come as events `partial` and `run` without an id. A comment says that the stream lives.
    """
    loop = asyncio.get_running_loop()
    yield b"retry: %d\n\n" % RETRY_MILLISECONDS
    async with hub().subscribe(run, after) as subscription:
        spoke = checked = loop.time()
        while True:
            try:
                message = await subscription.next(timeout=access.CHECK_SECONDS)
            except StopAsyncIteration:
                return
            now = loop.time()
            if now - checked >= access.CHECK_SECONDS:
                checked = now
                if await access.check(right) is not None:
                    return
            if message is not None:
                spoke = now
                yield write(message)
            elif now - spoke >= HEARTBEAT_SECONDS:
                spoke = now
                yield b": alive\n\n"


def write(message: Message) -> bytes:
    """Write a message as a server-sent event."""
    data = orjson.dumps(message.to_json())
    if isinstance(message, LiveEvent):
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (message.number, message.kind.encode(), data)
    return b"event: %s\ndata: %s\n\n" % (message.type.encode(), data)
