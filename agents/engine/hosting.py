"""The worker as its executions see it (host.py), on the threads and the journal of a process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from agents.engine import control, process_calls
from agents.engine.clock import Clock
from agents.engine.directory import describe_agents, resolve_target
from agents.engine.gathered import Gathered
from agents.engine.happening_records import Listening
from agents.engine.journal.journal import Journal
from agents.engine.ledger import Ledger
from agents.engine.marks import Marks
from agents.engine.ports import Ports, SubAgent
from agents.engine.records import History, Target
from agents.engine.scope import current_scope
from agents.engine.starts import Starts
from agents.engine.worker_settings import WorkerSettings
from agents.engine.worker_threads import WorkerThreads

SLICE = 0.005
"""How long replays may keep the loop, in seconds."""


class WorkerHost:
    """Belongs to the event loop of a worker. `lease_left` gives the seconds for which its lease surely holds."""

    def __init__(
        self,
        settings: WorkerSettings,
        ports: Ports,
        marks: Marks,
        threads: WorkerThreads,
        journal: Journal,
        clock: Clock,
        ledger: Ledger,
        *,
        lease_left: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, Any]], None],
    ) -> None:
        self.ports, self.marks, self.journal, self.clock, self.ledger = ports, marks, journal, clock, ledger
        self.starts = Starts()
        self.lease_seconds = settings.lease
        self.short_pause = settings.short_pause
        self.linger = settings.linger
        self.lease_left = lease_left
        self._threads = threads
        self._spawn = spawn
        self._slice_began = 0.0
        self._looking_back = Gathered(self._look_back)

    async def load_messages(self, run_id: UUID) -> History:
        return await self._threads.read(self._threads.reader.messages, run_id)

    async def load_large(self, id: UUID) -> bytes:
        return await self._threads.read(self._threads.reader.large, id)

    async def resolve_target(self, workspace_id: int, name: str) -> Target:
        return await self._threads.chore(resolve_target, workspace_id, name)

    async def sub_agents(self, workspace_id: int, names: Sequence[str]) -> list[SubAgent]:
        return await self._threads.chore(describe_agents, workspace_id, names)

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        scope = current_scope.get()
        call = partial(self.marks.in_thread, partial(function, *args), scope.mark if scope else b"")
        return await asyncio.get_running_loop().run_in_executor(self._threads.steps, call)

    def cancel_child(self, run_id: str) -> None:
        self._spawn(self._threads.chore(lambda: control.cancel(UUID(run_id), by="its parent")))

    async def look_back(self, wanted: Listening) -> bool:
        return await self._looking_back(wanted)

    async def _look_back(self, wanted: Sequence[Listening]) -> Sequence[bool]:
        return await self._threads.chore(self.ports.events.look_back, wanted)

    async def is_called(self, token: UUID) -> bool:
        return await self._threads.chore(process_calls.is_open, token)

    async def breathe(self) -> None:
        now = time.monotonic()
        if now - self._slice_began > SLICE:
            await asyncio.sleep(0)
            self._slice_began = time.monotonic()
