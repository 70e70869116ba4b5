"""What the branches of a run wait for: timers and messages, in memory or parked."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from agents.engine.branches import Branches
from agents.engine.clock import Clock
from agents.engine.records import MessageRecord, WaitRecord


@dataclass(slots=True)
class Pending:
    """Something a branch waits for. A message for a join counts for the join's wait."""

    wait: WaitRecord
    future: asyncio.Future[Any]
    join: str = ""
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class Collecting:
    """Messages that a branch waits for together: those of the names in `missing` have not come with their token."""

    wait: WaitRecord
    missing: dict[str, str]
    future: asyncio.Future[Any]
    came: list[MessageRecord] = field(default_factory=list)

    def take(self, message: MessageRecord) -> bool:
        """Take a message; tell whether it was the last one that was missing."""
        self.came.append(message)
        if self.missing.get(message.name) == message.token:
            del self.missing[message.name]
        return not self.missing


class Waiting:
    """The timers and messages that a run's branches wait for, and messages that came early."""

    def __init__(self, branches: Branches, clock: Clock) -> None:
        self._branches = branches
        self._clock = clock
        self._pending: dict[str, Pending] = {}
        self._collecting: dict[str, Collecting] = {}
        self._early: dict[str, deque[MessageRecord]] = defaultdict(deque)
        self._seen: set[int] = set()

    async def until(
        self, key: str, due: datetime, why: str = "timer", kind: Literal["timer", "slot"] = "timer"
    ) -> None:
        """Wait for a time; of kind "slot", `why` names the limit that gives a place then."""
        if due > self._clock.now():
            await self._wait(key, WaitRecord(kind, key=key, name=why[:200], due_at=due))

    async def message(self, name: str, wait: WaitRecord, join: str = "") -> MessageRecord:
        """Wait for a message of this name, or take one that came early."""
        if (early := self.early(name)) is not None:
            return early
        received: MessageRecord = await self._wait(name, wait, join)
        return received

    async def message_until(self, name: str, wait: WaitRecord) -> MessageRecord | None:
        """Wait for a message of this name until the wait's time has come; None if it has."""
        if (early := self.early(name)) is not None:
            return early
        received: MessageRecord | None = await self._wait(name, wait)
        return received

    async def messages(self, prefix: str, tokens: Mapping[str, str], wait: WaitRecord) -> list[MessageRecord]:
        """Wait until a message with its token has come for each name, all below one prefix; give all that came."""
        collecting = Collecting(wait, dict(tokens), asyncio.get_running_loop().create_future())
        for name in tokens:
            while (early := self.early(name)) is not None:
                collecting.take(early)
        if not collecting.missing:
            return collecting.came
        self._collecting[prefix] = collecting
        try:
            await self._branches.blocked(collecting.future)
        finally:
            del self._collecting[prefix]
        return collecting.came

    def early(self, name: str) -> MessageRecord | None:
        """Take a message of this name if one is there."""
        early = self._early.get(name)
        return early.popleft() if early else None

    def take(self, messages: Sequence[MessageRecord]) -> list[MessageRecord]:
        """Hand messages to those who wait for them, keep the others; gives those that were new."""
        new = [message for message in messages if message.id not in self._seen]
        for message in new:
            self._seen.add(message.id)
            pending = self._pending.pop(message.name, None)
            if pending is not None:
                self._branches.resume(pending.future, message)
            elif (collecting := self._collecting.get(message.name.rsplit("/", 2)[0])) is not None:
                if collecting.take(message):
                    self._branches.resume(collecting.future)
            else:
                self._early[message.name].append(message)
        return new

    def records(self) -> list[WaitRecord]:
        """Give what the run waits for; the sub-runs of one join together are one wait."""
        joins: dict[str, int] = defaultdict(int)
        waits = []
        for pending in self._pending.values():
            if pending.join:
                joins[pending.join] += 1
            else:
                waits.append(pending.wait)
        waits += [replace(one.wait, needed=len(one.missing)) for one in self._collecting.values() if one.missing]
        return waits + [WaitRecord("child", key=join, needed=count) for join, count in joins.items()]

    def next_due(self) -> float | None:
        """Give the seconds until the next timer; None if there is none."""
        due = [pending.wait.due_at for pending in self._pending.values() if pending.wait.due_at is not None]
        return (min(due) - self._clock.now()).total_seconds() if due else None

    def expects_messages(self) -> bool:
        """Whether sub-runs may answer at any moment."""
        return bool(self._collecting) or any(pending.wait.kind == "child" for pending in self._pending.values())

    def arm(self) -> None:
        """Start the timers (again)."""
        for key, pending in list(self._pending.items()):
            self._arm(key, pending)

    def disarm(self) -> None:
        """Stop the timers: nothing comes to life by itself any more."""
        for pending in self._pending.values():
            if pending.timer is not None:
                pending.timer.cancel()

    async def _wait(self, key: str, wait: WaitRecord, join: str = "") -> Any:
        pending = Pending(wait, asyncio.get_running_loop().create_future(), join)
        self._pending[key] = pending
        self._arm(key, pending)
        try:
            return await self._branches.blocked(pending.future)
        finally:
            if self._pending.get(key) is pending:
                del self._pending[key]
            if pending.timer is not None:
                pending.timer.cancel()

    def _arm(self, key: str, pending: Pending) -> None:
        if pending.wait.due_at is not None:
            delay = (pending.wait.due_at - self._clock.now()).total_seconds()
            loop = asyncio.get_running_loop()
            pending.timer = loop.call_later(max(0.0, delay), self._timer_due, key, pending)

    def _timer_due(self, key: str, pending: Pending) -> None:
        if self._pending.get(key) is pending:
            del self._pending[key]
        self._branches.resume(pending.future)
