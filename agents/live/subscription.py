"""One client of one run."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from agents.live.messages import LiveEvent, LivePartial, Message, RunState
from agents.live.reads import PAGE, News

QUEUE = 256
"""Messages kept for a client that reads slowly. Beyond them it is behind and reads from the database when it can."""

_STEP_ENDS = frozenset({"step_finished", "step_failed", "step_retrying", "step_interrupted"})


class Feed(Protocol):
    """What a subscription needs of the hub."""

    def poke(self) -> None: ...

    def reread_partials(self, run: UUID, after: int) -> None: ...

    def read_page(self, run: UUID, after: int) -> Awaitable[News]: ...


class Subscription:
    """The messages of a run for one client, in order, each event exactly once.

    A subscription starts *behind*: it reads pages from the database until it has caught up, then the hub hands it
    what is new. An event that does not follow the last one, or a full queue, puts it behind again.
    """

    def __init__(self, feed: Feed, run: UUID, after: int) -> None:
        self.run = run
        self.is_behind = True
        self._feed = feed
        self._delivered = max(after, 0)
        self._queued = self._delivered
        self._queue: deque[LiveEvent | LivePartial] = deque()
        self._state: RunState | None = None
        self._has_news = False
        self._is_gone = False
        self._partials: dict[tuple[str, int], int] = {}
        self._wake = asyncio.Event()

    @property
    def number(self) -> int:
        """The last event that was queued for the client."""
        return self._queued

    @property
    def delivered(self) -> int:
        """The last event that the client took."""
        return self._delivered

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Message:
        while (message := await self.next()) is None:
            pass
        return message

    async def next(self, timeout: float | None = None) -> Message | None:
        """Give the next message, or None when none came within `timeout` seconds.

        Raises StopAsyncIteration when the run has ended and all was given, or when it no longer exists.
        """
        while True:
            if self._queue:
                return self._take()
            if self.is_behind and not self._is_gone:
                await self._catch_up()
            elif self._has_news and self._state is not None:
                self._has_news = False
                return self._state
            elif self._is_complete():
                raise StopAsyncIteration
            elif not await self._has_woken(timeout):
                return None

    def offer(self, news: News) -> None:
        """Take what the hub read of the run."""
        if self.is_behind:
            return
        if news.state is None:
            self._is_gone = True
            self._wake.set()
            return
        for partial in news.partials:
            self._put_partial(partial)
        for event in news.events:
            if event.number <= self._queued:
                continue
            if event.number != self._queued + 1:
                self._fall_behind()
                return
            self._put_event(event)
        self._note(news.state)
        if len(self._queue) > QUEUE:
            self._fall_behind()
        self._wake.set()

    async def _catch_up(self) -> None:
        """Load one page. The queue is empty here, so that it never holds more than a page."""
        page = await self._feed.read_page(self.run, self._delivered)
        if page.state is None:
            self._is_gone = True
            return
        for event in page.events:
            self._put_event(event)
        if len(page.events) < PAGE:
            for partial in page.partials:
                self._put_partial(partial)
            self._note(page.state)
            self.is_behind = False
            # What happened since the page was read has been offered to others only: look again.
            self._feed.reread_partials(self.run, page.partial)
            self._feed.poke()

    async def _has_woken(self, timeout: float | None) -> bool:
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    def _take(self) -> LiveEvent | LivePartial:
        message = self._queue.popleft()
        if isinstance(message, LiveEvent):
            self._delivered = message.number
        return message

    def _put_event(self, event: LiveEvent) -> None:
        self._queue.append(event)
        self._queued = event.number
        if event.kind in _STEP_ENDS and isinstance(event.data, dict):
            key = event.data.get("key")
            self._partials = {step: seq for step, seq in self._partials.items() if step[0] != key}

    def _put_partial(self, partial: LivePartial) -> None:
        step = (partial.key, partial.attempt)
        seen = self._partials.get(step)
        if seen is not None and partial.seq <= seen:
            return
        self._partials[step] = partial.seq
        last = self._queue[-1] if self._queue else None
        if isinstance(last, LivePartial) and (last.key, last.attempt) == step:
            self._queue[-1] = replace(partial, text=last.text + partial.text, reset=last.reset)
        else:
            self._queue.append(replace(partial, reset=seen is None))

    def _note(self, state: RunState) -> None:
        if state != self._state:
            self._has_news = True
        self._state = state

    def _fall_behind(self) -> None:
        """Keep nothing: all of it can be read again. Texts begin anew, since parts of them are dropped."""
        self._queue.clear()
        self._queued = self._delivered
        self._partials.clear()
        self.is_behind = True
        self._wake.set()

    def _is_complete(self) -> bool:
        if self._is_gone:
            return True
        return self._state is not None and self._state.has_ended and self._delivered >= self._state.last_event
