"""One run in the hands of this worker: from its claim until it is parked, finished, given back or lost.

The workflow's coroutine runs in a branch of its own; `Execution.run` supervises it. When no branch is busy the run only
waits, and may be parked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from agents.engine.branches import Branches
from agents.engine.canonical import JSON, decode, encode
from agents.engine.endings import cancelled, failed, parked, released, succeeded
from agents.engine.errors import CapReached, LeaseLost, Sealed
from agents.engine.gate import Gate
from agents.engine.handover import token_of
from agents.engine.host import Host
from agents.engine.journal.store import Unwritable
from agents.engine.marks import mark_of
from agents.engine.metering import meter_of
from agents.engine.origins import beginning_of
from agents.engine.patience import Patience
from agents.engine.permitting import tools_of
from agents.engine.plans import OpenStep
from agents.engine.ports import AgentConfig
from agents.engine.records import (
    Change,
    Claimed,
    Committed,
    EventRecord,
    History,
    MessageRecord,
    StepRecord,
    WaitRecord,
)
from agents.engine.scope import Scope
from agents.engine.trust_records import trust_of
from agents.engine.waiting import Waiting

if TYPE_CHECKING:
    from agents.engine.journal.journal import Entry

logger = logging.getLogger(__name__)

MICROSECOND = timedelta(microseconds=1)
LOG_MESSAGE = "log"
"""Name of messages that are entries for the run's log: [kind, data]."""


class Execution:
    """The state of one run while this worker drives it."""

    def __init__(self, claimed: Claimed, host: Host, agent: AgentConfig | None, history: History | None) -> None:
        self.claimed = claimed
        self.host = host
        self.tools = tools_of(claimed, agent)
        self.agent = agent if agent is None or claimed.tools is None else replace(agent, tools=self.tools or ())
        self.is_tainted = claimed.tainted
        self.priority = claimed.priority
        self.id = claimed.id
        self.lease = (claimed.id, claimed.epoch)
        self.steps: dict[str, StepRecord] = history.steps if history else {}
        self.seed, self.began_at = beginning_of(claimed, self.steps)
        self.meter = meter_of(self, self.agent)
        self.open: dict[str, OpenStep] = {}
        self.mark = mark_of(claimed.id)
        self.branches = Branches(self._went_idle, host.marks, self.mark)
        self.waiting = Waiting(self.branches, host.clock)
        self._gate = Gate(self.branches)
        self.sealed = False
        self.seen_wakes = history.wakes if history else claimed.wakes
        self.known_wakes = self.seen_wakes
        self.wanted: str = history.wanted if history else claimed.wanted
        self._entry: Entry | None = None
        self._lost = False
        self._has_news = False
        self._give_back_reason = ""
        self._signal = asyncio.Event()
        self._patience = Patience(self.waiting, host, self._signal)
        self._stopped: CapReached | None = None
        self._last_stamp = max((s.finished_at or s.started_at for s in self.steps.values()), default=claimed.created_at)
        self._main: asyncio.Task[Any] | None = None
        self.calls: dict[str, UUID] = {}
        """The tokens of attempts that may be in a process of their own, by the key of their step."""
        if history:
            began = ((key, s) for key, s in history.steps.items() if s.kind == "tool" and s.status == "running")
            self.calls = {key: token_of(claimed.id, step) for key, step in began}
            self._take_messages(history)

    @property
    def input(self) -> JSON:
        """The run's input."""
        return decode(self.claimed.input)

    @property
    def has_begun(self) -> bool:
        """Whether its coroutine was started."""
        return self._main is not None

    @property
    def is_pausing(self) -> bool:
        """Whether it is, or has just been, paused."""
        return self.wanted == "pause"

    # -- supervision ---------------------------------------------------------------------------------------------

    async def run(self, begin: Callable[[Execution], Coroutine[Any, Any, Any]]) -> None:
        """Drive the run, whose coroutine `begin` makes, until it leaves this worker."""
        if self.wanted:
            self._heed_wanted()
        if self.meter is not None:
            self.meter.watch(self)
        self.log("run_started", {"worker": self.host.journal.worker_id, "epoch": self.claimed.epoch})
        self._main = self.branches.start(begin(self), Scope("", self.began_at))
        self._main.add_done_callback(lambda task: self._signal.set())
        while not await self._advance():
            await self._signal.wait()
            self._signal.clear()
        # What it raised holds the workflow's frames, and they hold this: only the collector would end such a circle.
        self._main = None

    async def _advance(self) -> bool:
        """Do what the run's state asks for; tell whether it has left this worker."""
        assert self._main is not None
        if self._lost:
            self._drop()
            return True
        if self.wanted == "cancel":
            return await self._cancel()
        if self._stopped is not None:
            self._drop()
            await self._end(failed(self, self._stopped))
            return True
        if self._main.done():
            return await self._finish(self._main)
        if self._give_back_reason:
            return await self._leave(released(self, self._give_back_reason))
        if self.known_wakes > self.seen_wakes or self._has_news:
            self._has_news = False
            await self.read_inbox()
            self._signal.set()
            return False
        return self.branches.busy == 0 and await self._rest()

    async def _rest(self) -> bool:
        """Nothing of the run is executing: park it, unless what it waits for will come soon."""
        if self._gate.hold == "drain" and self._gate.is_waited_at and self.wanted != "pause":
            return await self._leave(released(self, "worker stopped"))
        if not self._gate.hold and self._patience.is_left():
            return False
        return await self._park(self.waiting.records())

    async def _park(self, waits: list[WaitRecord]) -> bool:
        """Let the run wait for these, and paused if somebody wants that: also when its worker stops meanwhile."""
        if self.wanted == "pause":
            waits.append(WaitRecord("paused"))
        return await self._leave(parked(self, waits))

    def _went_idle(self) -> None:
        self._patience.renew()
        self._signal.set()

    async def _leave(self, change: Change) -> bool:
        """Commit a change that ends this worker's part; tell whether it did."""
        self.waiting.disarm()
        answer = await self._end(change)
        if answer is None or answer.parked:
            self._drop()
            return True
        self.notice(answer.wakes, answer.wanted)
        self.waiting.arm()
        self._signal.set()
        return False

    async def _finish(self, main: asyncio.Task[Any]) -> bool:
        if main.cancelled():
            change = failed(self, RuntimeError("The workflow cancelled itself."))
        elif (error := main.exception()) is not None:
            if isinstance(error, Sealed) and self._give_back_reason:
                return await self._leave(released(self, self._give_back_reason))
            if isinstance(error, Sealed):
                self._drop()
                return True
            change = failed(self, error)
        else:
            change = succeeded(self, main.result())
        self.branches.cancel(but=main)
        await self._end(change)
        self._drop()
        return True

    async def _cancel(self) -> bool:
        self._drop()
        if self.known_wakes > self.seen_wakes:
            # Who asked for it is told by a message.
            await self.read_inbox()
        await self._end(cancelled(self))
        return True

    async def _end(self, change: Change) -> Committed | None:
        """Commit a change that ends this worker's part. If the database refuses a value of it, the run has failed."""
        try:
            return await self._commit(change)
        except Unwritable as refused:
            return await self._commit(failed(self, refused))

    async def _commit(self, change: Change) -> Committed | None:
        """Wait for the commit of the change that is gathering; None if the lease is lost."""
        try:
            return await self.host.journal.committed(self.lease)
        except LeaseLost:
            self._lost = True
            return None

    def _drop(self) -> None:
        """Let go of the coroutines: whatever they still do has no effect."""
        self.sealed = True
        self.waiting.disarm()
        self.branches.cancel()
        if self.meter is not None:
            self.meter.close()

    async def park_unstarted(self, wait: WaitRecord) -> None:
        """Let the run wait, or end as cancelled, without having started its coroutine."""
        while self.wanted != "cancel":
            if await self._park([wait]):
                return
            await self.read_inbox()
        await self._cancel()

    async def fail_unstarted(self, error: Exception) -> None:
        """End the run as failed: what is recorded of it can't be read, here or anywhere else."""
        await self._end(failed(self, error))
        self._drop()

    # -- what others tell the run --------------------------------------------------------------------------------

    def notice(self, wakes: int, wanted: str) -> None:
        """Learn how often the run was woken and what is wanted of it, from any answer of the database.

        Each change of what is wanted counts as a wake, so an answer with fewer wakes is an older one.
        """
        if wakes < self.known_wakes:
            return
        if wakes > self.known_wakes:
            self.known_wakes = wakes
            self._signal.set()
        if wanted != self.wanted:
            self.wanted = wanted
            self._heed_wanted()

    def look_again(self) -> None:
        """Somebody in this process has just told the run something."""
        self._has_news = True
        self._signal.set()

    def lose(self) -> None:
        """Another worker holds the run."""
        self._lost = True
        self.sealed = True
        self._signal.set()

    def drain(self) -> None:
        """Start no more steps; leave when those that run have ended."""
        self._gate.hold = "drain"
        self._signal.set()

    def stop_at(self, cap: CapReached) -> None:
        """End the run as failed: it may take no more. What it executes is interrupted."""
        self._stopped = self._stopped or cap
        self._signal.set()

    def give_back(self, reason: str = "worker stopped") -> None:
        """Leave now: steps that still run are interrupted."""
        self._give_back_reason = reason
        self._signal.set()

    def _heed_wanted(self) -> None:
        self._gate.heed(self.wanted)
        self._signal.set()

    async def read_inbox(self) -> None:
        """Take what others have told the run."""
        history = await self.host.load_messages(self.id)
        self._take_messages(history)
        self.notice(history.wakes, history.wanted)

    def _take_messages(self, history: History) -> None:
        self.seen_wakes = max(self.seen_wakes, history.wakes)
        self.known_wakes = max(self.known_wakes, self.seen_wakes)
        for message in self.waiting.take(history.messages):
            if message.name == LOG_MESSAGE:
                # Only the lease holder writes the log; others leave what they have to say here.
                kind, data = decode(message.data)
                self.priority = data.get("priority", self.priority)
                self.log(kind, data)
                self.change().consumed.append(message.id)

    def may_use(self, tool: str) -> bool:
        """Whether the run's agent, and each run above it, has this tool."""
        return self.tools is None or tool in self.tools

    def taint(self, key: str) -> None:
        """Take note that the run has read, by this step, what strangers may have written."""
        self.is_tainted = True
        trust_of(self.change()).tainted.append(key)

    # -- for the context -----------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether new steps may start at once: there is no need to wait at the gate, or to ask what may be taken."""
        return not (self._gate.hold or self.sealed or self.wanted == "cancel" or self.meter is not None)

    async def gate(self) -> None:
        """Let nothing new start while the run is paused or its worker stops, or ever again once it is cancelled."""
        if self.sealed or self.wanted == "cancel":
            raise Sealed
        while self._gate.hold:
            await self._gate.wait()
            if self.sealed:
                raise Sealed

    async def wait_until(
        self, key: str, due: datetime, why: str = "timer", kind: Literal["timer", "slot"] = "timer"
    ) -> None:
        """Wait for a time, in memory or parked."""
        if self.sealed:
            raise Sealed
        await self.waiting.until(key, due, why, kind)

    async def message(self, name: str, wait: WaitRecord, join: str = "") -> MessageRecord:
        """Wait for a message of this name, or take one that came early."""
        if self.sealed:
            raise Sealed
        return await self.waiting.message(name, wait, join)

    async def messages(self, prefix: str, tokens: Mapping[str, str], wait: WaitRecord) -> list[MessageRecord]:
        """Wait until a message with its token has come for each name, all below one prefix; give all that came."""
        if self.sealed:
            raise Sealed
        return await self.waiting.messages(prefix, tokens, wait)

    def stamp(self) -> datetime:
        """Give the time for a record; it never goes back within a run, so that it orders the steps."""
        now = self.host.clock.now()
        self._last_stamp = now if now > self._last_stamp else self._last_stamp + MICROSECOND
        return self._last_stamp

    def change(self) -> Change:
        """Give the change that is gathering for this run."""
        entry = self._entry
        if entry is None or entry.is_taken:
            entry = self._entry = self.host.journal.entry_of(self.lease, self._new_change)
        return entry.change

    def _new_change(self) -> Change:
        claimed = self.claimed
        return Change(
            run_id=claimed.id,
            epoch=claimed.epoch,
            parent_id=claimed.parent_id,
            parent_key=claimed.parent_key,
            workspace_id=claimed.workspace_id,
            root_id=claimed.root_id,
            depth=claimed.depth,
        )

    def log(self, kind: str, data: JSON, at: datetime | None = None) -> EventRecord:
        """Add an entry to the run's log, with the change that is gathering; `at` is a stamp that was given before."""
        event = EventRecord(kind, at or self.stamp(), encode(data))
        self.change().events.append(event)
        return event

    async def commit(self) -> Committed:
        """Wait until all that is gathering for this run is committed."""
        try:
            answer = await self.host.journal.committed(self.lease)
        except LeaseLost:
            self.lose()
            raise Sealed from None
        self.notice(answer.wakes, answer.wanted)
        if self.sealed:
            raise Sealed
        return answer
