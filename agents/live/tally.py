"""What waits for a person in a workspace, kept current for all whose pages show how much that is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

INTERVAL_SECONDS = 0.3

ReadWaiting = Callable[[int], Awaitable[tuple[UUID, ...]]]


class TallySubscription:
    """One client. It is told how much waits when that has changed since it was told last."""

    def __init__(self) -> None:
        self._waiting: tuple[UUID, ...] = ()
        self._wake = asyncio.Event()

    def offer(self, waiting: tuple[UUID, ...]) -> None:
        """Let the client know what waits now."""
        self._waiting = waiting
        self._wake.set()

    async def next(self) -> int:
        """Wait for a change; give how many questions wait then."""
        await self._wake.wait()
        self._wake.clear()
        return len(self._waiting)


class Tally:
    """Compares what waits in a workspace with what it was, a few times a second at most."""

    def __init__(self, workspace: int, read: ReadWaiting) -> None:
        self._workspace = workspace
        self._read = read
        self._waiting: tuple[UUID, ...] | None = None
        self._subscriptions: set[TallySubscription] = set()
        self._dirty = asyncio.Event()
        self._dirty.set()
        self._task = asyncio.create_task(self._run(), name=f"live-tally-{workspace}")

    def subscribe(self) -> TallySubscription:
        """Add a client; it is told at once."""
        subscription = TallySubscription()
        if self._waiting is not None:
            subscription.offer(self._waiting)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: TallySubscription) -> bool:
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
            waiting = await self._read(self._workspace)
            if waiting != self._waiting:
                self._waiting = waiting
                for subscription in self._subscriptions:
                    subscription.offer(waiting)
            await asyncio.sleep(INTERVAL_SECONDS)
