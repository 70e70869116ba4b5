"""What a worker does about the trees that its runs belong to: keeps their books, and ends what runs away."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from uuid import UUID

from agents.engine import trees
from agents.engine.caps import STANDARD, Amounts, Caps, in_words
from agents.engine.errors import CapReached
from agents.engine.execution import Execution
from agents.engine.ledger import Decide, Ledger
from agents.engine.worker_threads import WorkerThreads

LONG = 1_000
"""Steps from which a run without relatives is looked at too."""
EVERY, COSTS = 1.0, 0.05
"""Seconds between two looks, and the share of its time that the thread of chores may spend on them."""
REMEMBERED = 60.0
"""Seconds for which a tree counts as beyond its caps without another look."""


class TreeKeeper:
    """Belongs to the event loop of a worker, whose `executions` it looks after."""

    def __init__(
        self, threads: WorkerThreads, worker_id: Callable[[], int], executions: Mapping[UUID, Execution]
    ) -> None:
        self.ledger = Ledger(self._exchange)
        self._threads = threads
        self._worker_id = worker_id
        self._executions = executions
        self._beyond: dict[UUID, tuple[str, float]] = {}

    def greet(self, x: Execution) -> None:
        """Let a run that was just claimed do nothing if its tree is beyond its caps already."""
        if self._beyond and (known := self._beyond.get(x.claimed.root_id or x.id)):
            x.stop_at(CapReached(known[0]))

    async def _exchange(self, tree: UUID, decide: Decide) -> None:
        await self._threads.chore(trees.exchange, self._worker_id(), tree, decide)

    async def oversee_forever(self) -> None:
        """End what exceeds the caps that hold for all trees: known from what is recorded anyhow, once a second.

        So no step pays for them; a tree exceeds them by what it does within a look.
        """
        pause = EVERY
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            await self._oversee()
            pause = max(EVERY, (time.monotonic() - began) / COSTS)

    async def _oversee(self) -> None:
        by_root: dict[UUID, list[Execution]] = defaultdict(list)
        for x in self._executions.values():
            if x.claimed.root_id is not None or len(x.steps) >= LONG:
                by_root[x.claimed.root_id or x.id].append(x)
        now = time.monotonic()
        self._beyond = {root: known for root, known in self._beyond.items() if known[1] > now}
        if not by_root:
            return
        taken = await self._threads.chore(trees.all_taken, list(by_root))
        for root, relatives in by_root.items():
            for x in relatives:
                if words := beyond(x.meter.tree if x.meter is not None else STANDARD, taken[root], len(x.steps)):
                    self._beyond[root] = (words, now + REMEMBERED)
                    x.stop_at(CapReached(words))


def beyond(caps: Caps, taken: Amounts, own_steps: int) -> str:
    """Say in words that a tree is beyond its steps or sub-runs, or one run beyond all measure; else nothing."""
    assert caps.steps is not None
    assert caps.children is not None
    if taken.children > caps.children:
        return in_words("children", caps, taken, "this tree of runs")
    if taken.steps > caps.steps or own_steps > max(caps.steps, STANDARD.steps or 0):
        # A step that failed counts with its run alone.
        return in_words("steps", caps, taken._replace(steps=max(taken.steps, own_steps)), "this tree of runs")
    return ""
