"""Permits to go on at once, as one process holds and hands them out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tools.limits.store import Permits

POLL = 0.1
"""Seconds after which those who wait look again: permits of others come free without a word."""
FIRST_GUESS = 3.0
PATIENT = 30.0


@dataclass(slots=True, eq=False)
class _Waiter:
    workspace_id: int
    future: asyncio.Future[None]


@dataclass(slots=True)
class _Shelf:
    """The permits of one clock. `lasts` is for how long they are held on average, in seconds."""

    worker_id: int
    at_once: int
    held: int = 0
    is_changed: bool = False
    lasts: float = FIRST_GUESS
    waiting: list[_Waiter] = field(default_factory=list)
    look_at: float = 0.0


class PermitShelves:
    """Permits by clock. Belongs to the event loop; `poke` is called when there is something to write down."""

    def __init__(self, poke: Callable[[], None]) -> None:
        self._poke = poke
        self._shelves: dict[tuple[int, int], _Shelf] = {}

    async def take(self, worker_id: int, clock_id: int, at_once: int, workspace_id: int, patience: float) -> bool:
        """Wait for a permit for up to `patience` seconds; tell whether there was one."""
        shelf = self._shelf(worker_id, clock_id, at_once)
        waiter = _Waiter(workspace_id, asyncio.get_running_loop().create_future())
        shelf.waiting.append(waiter)
        shelf.look_at = 0.0
        self._poke()
        try:
            async with asyncio.timeout(patience):
                await waiter.future
        except BaseException as error:
            if waiter in shelf.waiting:
                shelf.waiting.remove(waiter)
            elif waiter.future.done() and not waiter.future.cancelled():
                # It came at the last moment.
                if isinstance(error, TimeoutError):
                    return True
                self.put_back(worker_id, clock_id, 0.0)
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def put_back(self, worker_id: int, clock_id: int, seconds: float) -> None:
        """Give a permit back that was held for so long."""
        shelf = self._shelves[worker_id, clock_id]
        shelf.held -= 1
        shelf.is_changed = True
        shelf.look_at = 0.0
        if seconds:
            shelf.lasts += (seconds - shelf.lasts) / 8
        self._poke()

    def expected(self, worker_id: int, clock_id: int) -> float:
        """Guess the seconds until one that comes now would have a permit."""
        shelf = self._shelves[worker_id, clock_id]
        return min(max(shelf.lasts * (len(shelf.waiting) + 1) / shelf.at_once, FIRST_GUESS), PATIENT)

    def wanted(self, now: float) -> dict[int, list[Permits]]:
        """Give what is to be written down and asked for, by worker."""
        wanted: dict[int, list[Permits]] = defaultdict(list)
        for (worker_id, clock_id), shelf in self._shelves.items():
            waiting = len(shelf.waiting)
            if shelf.is_changed or (waiting and shelf.look_at <= now):
                wanted[worker_id].append(Permits(clock_id, shelf.held, waiting, shelf.at_once))
                shelf.is_changed = False
                shelf.look_at = now + POLL
        return wanted

    def not_written(self, worker_id: int, asked: Sequence[Permits]) -> None:
        """Ask anew: it is not known what became of it."""
        for each in asked:
            shelf = self._shelves[worker_id, each.clock_id]
            shelf.is_changed, shelf.look_at = True, 0.0

    def hand_out(self, worker_id: int, got: dict[int, int]) -> None:
        """Give what came to those who wait, the workspaces in turn; what nobody wants any more goes back."""
        for clock_id, count in got.items():
            shelf = self._shelves[worker_id, clock_id]
            shelf.held += count
            for waiter in _in_turn(shelf.waiting)[:count]:
                shelf.waiting.remove(waiter)
                if waiter.future.done():
                    continue
                waiter.future.set_result(None)
                count -= 1
            if count:
                shelf.held -= count
                shelf.is_changed = True

    def next_look(self) -> float | None:
        """Give when those who wait are to look again, on the loop's clock; None if nobody does."""
        looks = [shelf.look_at for shelf in self._shelves.values() if shelf.waiting or shelf.is_changed]
        return min(looks, default=None)

    def _shelf(self, worker_id: int, clock_id: int, at_once: int) -> _Shelf:
        shelf = self._shelves.setdefault((worker_id, clock_id), _Shelf(worker_id, at_once))
        shelf.at_once = at_once
        return shelf


def _in_turn(waiting: Sequence[_Waiter]) -> list[_Waiter]:
    turns: dict[int, int] = defaultdict(int)
    order = []
    for position, waiter in enumerate(waiting):
        order.append((turns[waiter.workspace_id], position, waiter))
        turns[waiter.workspace_id] += 1
    return [waiter for _, _, waiter in sorted(order, key=lambda entry: entry[:2])]
