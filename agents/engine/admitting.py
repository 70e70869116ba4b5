"""How a worker asks for places among the running runs: for all runs that want one at the same time, in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from agents.engine.admission import Asking, Given, admit, adopt, give_places, group_of
from agents.engine.records import WaitRecord
from agents.engine.worker_threads import WorkerThreads

if TYPE_CHECKING:
    from agents.engine.execution import Execution

_OF_AGENTS = ("max_running", "max_running_per_key")


class Admissions:
    """Knows of which runs the number at work is capped, and asks for those. Belongs to the loop."""

    def __init__(self, threads: WorkerThreads, executions: Callable[[], Iterable[Execution]]) -> None:
        self._threads = threads
        self._executions = executions
        self._capped: frozenset[int] = frozenset()
        self._are_waiting = False
        self._pending: list[tuple[Asking, asyncio.Future[WaitRecord | None]]] = []
        self._is_asking = asyncio.Lock()

    async def begin(self) -> None:
        """Learn which workspaces have caps, before anything is claimed."""
        await self._heed(await self._threads.chore(give_places))

    async def sweep(self) -> int:
        """Give the places that are free, and learn which workspaces have caps; gives how many runs were queued."""
        given = await self._threads.once(give_places)
        await self._heed(given)
        return given.queued

    async def _heed(self, given: Given) -> None:
        self._are_waiting = given.are_waiting
        if new := given.capped - self._capped:
            running = [x for x in self._executions() if x.claimed.workspace_id in new]
            await self._threads.once(adopt, [_asking(x) for x in running])
        self._capped = given.capped

    def is_capped(self, x: Execution) -> bool:
        """Whether the run needs a permit."""
        if x.claimed.workspace_id in self._capped:
            return True
        return x.agent is not None and any(x.agent.caps.get(name) for name in _OF_AGENTS)

    async def wait_of(self, x: Execution) -> WaitRecord | None:
        """Take a permit for the run, or give what it has to wait for."""
        answer: asyncio.Future[WaitRecord | None] = asyncio.get_running_loop().create_future()
        self._pending.append((_asking(x), answer))
        async with self._is_asking:
            # Whoever comes first asks for all who have come meanwhile.
            if not answer.done():
                await self._ask()
        return await answer

    async def _ask(self) -> None:
        pending, self._pending = self._pending, []
        try:
            refused = await self._threads.chore(admit, [asking for asking, _ in pending])
        except Exception as error:
            for _, answer in pending:
                if not answer.done():
                    answer.set_exception(error)
            raise
        self._are_waiting |= bool(refused)
        for asking, answer in pending:
            if not answer.done():
                answer.set_result(refused.get(asking.run_id))

    def frees_a_place(self, x: Execution) -> bool:
        """Whether others wait for places of such runs as this one, which leaves."""
        return self._are_waiting and x.has_begun and self.is_capped(x)


def _asking(x: Execution) -> Asking:
    claimed, agent = x.claimed, x.agent
    if agent is None:
        return Asking(x.id, claimed.epoch, group_of(claimed.workspace_id, 0, {}, None))
    return Asking(x.id, claimed.epoch, group_of(claimed.workspace_id, agent.id, agent.caps, x.input), agent.name)
