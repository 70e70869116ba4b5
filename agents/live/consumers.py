"""The websockets: one run, or the runs of a workspace. They speak; whatever a client says ends the connection."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import orjson
from channels.exceptions import DenyConnection
from channels.generic.websocket import AsyncWebsocketConsumer

from agents.engine.outages import DATABASE_ERRORS, outage_of
from agents.live import access
from agents.live.access import Refusal, SessionPass
from agents.live.hub import hub
from agents.live.reader import read_once

DONE = 1000
# Of the codes below 3000 the server may send no other.
READ_ONLY = 4405
TRY_AGAIN_LATER = 4503
_MAX_NUMBER = 2**31 - 1


class LiveConsumer(AsyncWebsocketConsumer, ABC):
    """What both sockets have in common: who may connect, and that the right to watch is asked for again and again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self) -> None:
        if not access.is_own_origin(access.headers_of(self.scope)):
            raise DenyConnection
        try:
            right = await self.enter(self.scope["session"].session_key or "")
        except DATABASE_ERRORS as error:
            if outage_of(error) is None:
                raise
            await self.accept()
            await self.close(code=TRY_AGAIN_LATER)
            return
        # Accepted first even to be refused: a page can read the code of a close, not that of a failed handshake.
        await self.accept()
        if isinstance(right, Refusal):
            await self.close(code=right)
            return
        self._tasks = [asyncio.create_task(self._speak()), asyncio.create_task(self._guard(right))]

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.close(code=READ_ONLY, reason="This socket only speaks; use the API to act.")

    async def disconnect(self, code: int) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @abstractmethod
    async def enter(self, session: str) -> SessionPass | Refusal:
        """Decide whether a session may watch."""

    @abstractmethod
    def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Give what is to be sent, until all has been said."""

    async def _speak(self) -> None:
        async for message in self.messages():
            await self.send(text_data=orjson.dumps(message).decode())
        await self.close(code=DONE)

    async def _guard(self, right: SessionPass) -> None:
        while True:
            await asyncio.sleep(access.CHECK_SECONDS)
            refusal = await access.check(right)
            if refusal is not None:
                self._tasks[0].cancel()
                await self.close(code=refusal)
                return


class RunConsumer(LiveConsumer):
    """/ws/runs/<id>?after=N: the events after N, streamed text and state of a run until it has ended."""

    async def enter(self, session: str) -> SessionPass | Refusal:
        self._run = UUID(str(self.scope["url_route"]["kwargs"]["run_id"]))
        return await read_once(access.pass_for_run, session, self._run)

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        async with hub().subscribe(self._run, _after(self.scope["query_string"])) as subscription:
            async for message in subscription:
                yield message.to_message()


class WorkspaceConsumer(LiveConsumer, ABC):
    """What watches a workspace as a whole."""

    async def enter(self, session: str) -> SessionPass | Refusal:
        right = await read_once(access.pass_for_workspace, session, self.scope["url_route"]["kwargs"]["slug"])
        self._workspace = right.workspace if isinstance(right, SessionPass) else 0
        return right


class RunsConsumer(WorkspaceConsumer):
    """/ws/w/<slug>/runs: the runs of a workspace that change."""

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        async with hub().subscribe_runs(self._workspace) as subscription:
            while True:
                lines = await subscription.next()
                if lines is not None:
                    yield {"type": "runs", "runs": [line.to_json() for line in lines]}


class ApprovalsConsumer(WorkspaceConsumer):
    """/ws/w/<slug>/approvals: how many questions of the workspace's runs wait for a person, whenever that changes."""

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        async with hub().subscribe_approvals(self._workspace) as subscription:
            while True:
                yield {"type": "approvals", "open": await subscription.next()}


def _after(query: bytes) -> int:
    """Read the number of the last event seen; anything unreadable means none."""
    with suppress(ValueError, IndexError, KeyError):
        return min(max(int(parse_qs(query.decode("latin-1"))["after"][-1]), 0), _MAX_NUMBER)
    return 0
