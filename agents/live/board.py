"""The list of a workspace's runs, kept current for all who look at it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

from agents.live.messages import RunLine
from agents.live.reads import LISTED

INTERVAL_SECONDS = 0.3

ReadLines = Callable[[int, list[UUID]], Awaitable[dict[UUID, RunLine]]]


class BoardSubscription:
    """One client of a list. What it has not taken yet is merged: never more than one line per run."""

    def __init__(self) -> None:
        self._changed: dict[UUID, RunLine] = {}
        self._wake = asyncio.Event()

    def offer(self, lines: dict[UUID, RunLine]) -> None:
        """Add lines that changed."""
        self._changed.update(lines)
        self._wake.set()

    async def next(self, timeout: float | None = None) -> list[RunLine] | None:
        """Give the lines that changed since the last call, or None when none did within `timeout` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        if not self._changed:
            return None
        self._wake.clear()
        changed, self._changed = self._changed, {}
        return list(changed.values())


class Board:
    """Compares a workspace's newest and active runs with what they were, a few times a second at most."""

    def __init__(self, workspace: int, read: ReadLines) -> None:
        self._workspace = workspace
        self._read = read
        self._lines: dict[UUID, RunLine] = {}
        self._subscriptions: set[BoardSubscription] = set()
        self._dirty = asyncio.Event()
        self._dirty.set()
        self._task = asyncio.create_task(self._run(), name=f"live-board-{workspace}")

    def subscribe(self) -> BoardSubscription:
        """Add a client; it gets all lines first."""
        subscription = BoardSubscription()
        if self._lines:
            subscription.offer(self._lines)
        self._subscriptions.add(subscription)
        self.poke()
        return subscription

    def unsubscribe(self, subscription: BoardSubscription) -> bool:
        """Remove a client; tell whether it was the last."""
        self._subscriptions.discard(subscription)
        return not self._subscriptions

    def poke(self) -> None:
        """Look at the database: something may have changed."""
        self._dirty.set()

    async def aclose(self) -> None:
        """Stop looking."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._look()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _look(self) -> None:
        active = [run for run, line in self._lines.items() if not line.has_ended]
        lines = await self._read(self._workspace, active[:LISTED])
        changed = {run: line for run, line in lines.items() if self._lines.get(run) != line}
        self._lines = lines
        if changed:
            for subscription in self._subscriptions:
                subscription.offer(changed)
