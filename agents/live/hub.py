"""The hub of a web process: notices that runs changed, reads the news once, hands them to all who watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import ParamSpec, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog

from agents.engine.outages import DATABASE_ERRORS, Outage, outage_of, outages
from agents.live import notices
from agents.live.board import Board, BoardSubscription
from agents.live.messages import RunLine, RunState
from agents.live.reader import Reader
from agents.live.reads import PAGE, News, Want, read_lines, read_news, read_page, read_waiting
from agents.live.subscription import Subscription
from agents.live.tally import Tally, TallySubscription

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

SAFETY_SECONDS = 1.0
"""A look without a notice: the listener may be dead without knowing it."""

GAP_SECONDS = 0.015
"""Least time between two looks, so that a storm of notices costs no more than this many reads."""

MAX_DELAY = 2.0


class Watch:
    """A run that somebody watches."""

    def __init__(self) -> None:
        self.subscriptions: set[Subscription] = set()
        self.state: RunState | None = None
        self.partial = 0

    def want(self) -> Want:
        """Tell what to read: from the lowest number that a client who is not behind has."""
        live = [subscription.number for subscription in self.subscriptions if not subscription.is_behind]
        return Want(number=min(live, default=None), partial=self.partial if live else None, state=self.state)


class Hub:
    """Feeds the watchers of one event loop. It works only while there are any."""

    def __init__(self) -> None:
        self._watches: dict[UUID, Watch] = {}
        self._boards: dict[int, Board] = {}
        self._tallies: dict[int, Tally] = {}
        self._dirty = asyncio.Event()
        self._reader: Reader | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def subscribe(self, run: UUID, after: int = 0) -> AsyncIterator[Subscription]:
        """Watch a run: give its events after a number, then what happens, until the run has ended."""
        self._start()
        subscription = Subscription(self, run, after)
        self._watches.setdefault(run, Watch()).subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            watch = self._watches[run]
            watch.subscriptions.discard(subscription)
            if not watch.subscriptions:
                del self._watches[run]
            await self._stop_if_idle()

    @asynccontextmanager
    async def subscribe_runs(self, workspace: int) -> AsyncIterator[BoardSubscription]:
        """Watch the runs of a workspace: give lists of those that changed, a few times a second at most."""
        self._start()
        board = self._boards.get(workspace)
        if board is None:
            board = self._boards[workspace] = Board(workspace, self._read_lines)
        subscription = board.subscribe()
        try:
            yield subscription
        finally:
            if board.unsubscribe(subscription):
                del self._boards[workspace]
                await board.aclose()
            await self._stop_if_idle()

    @asynccontextmanager
    async def subscribe_approvals(self, workspace: int) -> AsyncIterator[TallySubscription]:
        """Watch how many questions of a workspace's runs wait for a person."""
        self._start()
        tally = self._tallies.get(workspace)
        if tally is None:
            tally = self._tallies[workspace] = Tally(workspace, self._read_waiting)
        subscription = tally.subscribe()
        try:
            yield subscription
        finally:
            if tally.unsubscribe(subscription):
                del self._tallies[workspace]
                await tally.aclose()
            await self._stop_if_idle()

    def poke(self) -> None:
        """Look at the database: something may have changed."""
        self._dirty.set()
        for board in self._boards.values():
            board.poke()
        for tally in self._tallies.values():
            tally.poke()

    def reread_partials(self, run: UUID, after: int) -> None:
        """Offer the partial texts of a run after this row once more."""
        watch = self._watches.get(run)
        if watch is not None:
            watch.partial = min(watch.partial, after)

    async def read_page(self, run: UUID, after: int) -> News:
        """Read what one client missed."""
        return await self.read(read_page, run, after)

    async def _read_lines(self, workspace: int, also: list[UUID]) -> dict[UUID, RunLine]:
        return await self.read(read_lines, workspace, also)

    async def _read_waiting(self, workspace: int) -> tuple[UUID, ...]:
        return await self.read(read_waiting, workspace)

    async def read(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a database read; a database that is away is asked again until it answers."""
        delay = 0.1
        while True:
            if self._reader is None:
                self._reader = Reader()
            try:
                found = await self._reader(read, *args, **kwargs)
            except DATABASE_ERRORS as error:
                outages.failed("live reads", outage_of(error) or Outage.BUSY, error)
            else:
                outages.worked("live reads")
                return found
            await asyncio.sleep(delay)
            delay = min(delay * 2, MAX_DELAY)

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SAFETY_SECONDS):
                    await self._dirty.wait()
            if not self._dirty.is_set():
                self.poke()
            self._dirty.clear()
            try:
                await self._look()
            except Exception:
                # Whatever one run's rows hold, the watchers of all others go on.
                log.exception("live_look_failed")
            await asyncio.sleep(GAP_SECONDS)

    async def _look(self) -> None:
        wants = {run: watch.want() for run, watch in self._watches.items()}
        wants = {run: want for run, want in wants.items() if want.number is not None}
        if not wants:
            return
        found: dict[UUID, News] = await self.read(read_news, wants)
        for run, news in found.items():
            watch = self._watches.get(run)
            if watch is None:
                continue
            watch.state = news.state
            # A client that caught up meanwhile may have set the mark back.
            if watch.partial == wants[run].partial:
                watch.partial = max(watch.partial, news.partial)
            for subscription in watch.subscriptions:
                subscription.offer(news)
            if len(news.events) == PAGE:
                self._dirty.set()

    def _start(self) -> None:
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(notices.watch(self.poke), name="live-notices"),
                asyncio.create_task(self._run(), name="live-hub"),
            ]

    async def _stop_if_idle(self) -> None:
        if self._watches or self._boards or self._tallies:
            return
        tasks, self._tasks = self._tasks, []
        reader, self._reader = self._reader, None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if reader is not None:
            await reader.aclose()


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """Give the hub of the running event loop. (The web server has no start-up hook: it is made when first needed.)"""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
