"""What a run may take of its caps, asked before it takes it.

Two accounts may hold for a run: that of its tree, shared with all runs of the tree, and that of its own agent, if the
run was started by another and its agent has caps. What is recorded counts as spent; what is under way is reserved, and
a reservation ends with the lease of its run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from agents.engine.canonical import decode
from agents.engine.caps import NOTHING, STANDARD, Amounts, Caps
from agents.engine.errors import CapReached, Sealed
from agents.engine.ledger import Decide, Ledger
from agents.engine.messages import Usage

if TYPE_CHECKING:
    from uuid import UUID

    from agents.engine.execution import Execution
    from agents.engine.ports import AgentConfig
    from agents.engine.records import StepRecord, Target

BLOCK = 50
"""Steps that are reserved at once, at most."""
IDLE = 1.0
"""Seconds after which a run that takes no steps lets go of those it has reserved."""
LEFT, UNDER_WAY = "left", "under way"
"""The keys under which a run's steps are reserved: those not yet begun, and those not yet recorded."""


@dataclass(slots=True)
class Account:
    """Caps of somebody, the books that know what is taken of them, and the steps the run may take without asking."""

    ledger: Ledger
    id: UUID
    caps: Caps
    run_id: UUID
    whose: str
    left: int = 0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def take(self, key: str, wanted: Amounts) -> None:
        """Reserve under a key what is capped of it; raises CapReached."""
        capped = Amounts(*(a if cap is not None else 0 for a, cap in zip(wanted, self.caps.shared, strict=True)))
        if capped != NOTHING:
            await self.ledger.take(self.id, self.caps, self.run_id, key, capped, whose=self.whose)

    async def step(self, failed: int) -> None:
        """Take one step, of a block that was reserved; raises CapReached. Those that `failed` count for the run."""
        async with self.asking:
            if self.left <= 0:
                granted = await self.ledger.take(
                    self.id,
                    self.caps,
                    self.run_id,
                    LEFT,
                    Amounts(steps=BLOCK),
                    unrecorded=Amounts(steps=failed),
                    whose=self.whose,
                )
                self.left = granted.steps
            self.left -= 1

    def write(self, under_way: int, *, is_less: bool) -> None:
        """Write down what is held of steps."""
        for key, steps in ((LEFT, self.left), (UNDER_WAY, under_way)):
            self.ledger.hold(self.id, self.run_id, key, Amounts(steps=steps), is_less=is_less)


class Meter:
    """Asks for one run in this process."""

    def __init__(self, x: Execution, tree: Caps, own: Caps, budget: Mapping[str, Any] | None) -> None:
        """`budget` are the caps of the tree as they are stored, which its sub-runs are given."""
        claimed = x.claimed
        self.tree = tree.or_else(STANDARD)
        self.own = own
        self.budget = budget
        self._steps = x.steps
        self._begun: set[str] = set()
        self._failed = sum(1 for step in x.steps.values() if step.status == "failed")
        self._accounts: list[Account] = []
        self._used = 0
        self._trimming: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_closed = False
        if tree != Caps():
            root = claimed.root_id or claimed.id
            self._accounts.append(Account(x.host.ledger, root, tree, claimed.id, "this tree of runs"))
        if own != Caps():
            self._accounts.append(Account(Ledger(self._exchange_alone), claimed.id, own, claimed.id, "this run"))

    def watch(self, x: Execution) -> None:
        """End the run when its time is up."""
        if (until := x.claimed.deadline_at) is not None:
            seconds = max(0.0, (until - x.host.clock.now()).total_seconds())
            self._deadline = asyncio.get_running_loop().call_later(seconds, lambda: x.stop_at(out_of_time(until)))

    async def step(self, key: str) -> None:
        """Take a step; raises CapReached."""
        capped = [account for account in self._accounts if account.caps.steps is not None]
        for account in capped:
            await account.step(self._failed)
        if capped:
            self._begun.add(key)
            self._used += 1
            self._write(is_less=False)
            if self._trimming is None:
                self._trim_later()

    async def think(self, key: str, most: Usage) -> None:
        """Reserve what a call of a model takes at most; raises CapReached, also for a price that nobody knows."""
        tokens, cost = most.input_tokens + most.output_tokens, most.cost_microusd
        for account in self._accounts:
            if account.caps.microusd is not None and cost is None:
                raise CapReached(
                    "The price of this model is not known, so its calls can't be kept within a budget of money."
                )
            await account.take(key, Amounts(tokens=tokens, microusd=cost or 0))

    async def children(self, key: str, count: int) -> None:
        """Reserve so many sub-runs, all or none; raises CapReached."""
        for account in self._accounts:
            await account.take(key, Amounts(children=count))

    def settle(self, key: str) -> None:
        """What a step took is recorded, or it has ended otherwise: nothing is reserved for it any more."""
        if self._is_closed:
            return
        for account in self._accounts:
            account.ledger.hold(account.id, account.run_id, key, NOTHING)
        if key in self._begun:
            self._begun.discard(key)
            # Not counted with the run, but taken all the same: or code that goes on after failures would for ever.
            self._failed += key in self._steps and self._steps[key].status == "failed"
            self._write(is_less=True)

    def close(self) -> None:
        """Let go of everything: the run leaves this process."""
        self._is_closed = True
        for timer in (self._trimming, self._deadline):
            if timer is not None:
                timer.cancel()
        for account in self._accounts:
            account.ledger.forget(account.id, account.run_id)

    def _write(self, *, is_less: bool) -> None:
        for account in self._accounts:
            if account.caps.steps is not None:
                account.write(len(self._begun), is_less=is_less)

    def _trim_later(self) -> None:
        self._trimming = asyncio.get_running_loop().call_later(IDLE, self._trim, self._used)

    def _trim(self, used: int) -> None:
        """Leave to others what this run does not use at present."""
        self._trimming = None
        if self._used != used:
            self._trim_later()
            return
        for account in self._accounts:
            account.left = 0
        self._write(is_less=True)

    async def _exchange_alone(self, _: UUID, decide: Decide) -> None:
        decide(_recorded(self._steps), NOTHING)


def meter_of(x: Execution, agent: AgentConfig | None) -> Meter | None:
    """Give what meters a run; None if nothing is capped but what is for all trees."""
    claimed = x.claimed
    own = Caps.of(agent.caps) if agent is not None and agent.caps and claimed.parent_id is not None else Caps()
    if claimed.budget is None and own == Caps() and claimed.deadline_at is None:
        return None
    budget = decode(claimed.budget) if claimed.budget is not None else None
    return Meter(x, Caps.of(budget), own, budget)


async def take_step(x: Execution, key: str) -> None:
    """Take a step of what the run may take; if nothing is left, the run ends."""
    if x.meter is None:
        return
    try:
        await x.meter.step(key)
    except CapReached as reached:
        x.stop_at(reached.with_traceback(None))
        raise Sealed from None


async def take_children(x: Execution, key: str, count: int = 1) -> None:
    """Take sub-runs of what the run's tree may have, all that one step starts or none; raises CapReached."""
    below = x.claimed.depth + 1
    caps = x.meter.tree if x.meter is not None else STANDARD
    if caps.depth is not None and below > caps.depth:
        raise CapReached(f"Sub-runs may be nested {caps.depth} deep at most: this one would be at depth {below}.")
    if x.meter is not None:
        if x.meter.own.depth == 0:
            raise CapReached("The agent of this run may start no sub-runs.")
        await x.meter.children(key, count)


def deadline_for_child(x: Execution, target: Target, now: datetime) -> datetime | None:
    """Give when a sub-run is over at the latest: with the run that starts it, or by the caps of its own agent."""
    inherited = x.claimed.deadline_at
    if target.seconds is None:
        return inherited
    own = now + timedelta(seconds=target.seconds)
    return own if inherited is None else min(inherited, own)


def out_of_time(deadline: datetime) -> CapReached:
    """Give why a run ends whose time is up."""
    return CapReached(f"The time that this run may take was up at {deadline:%Y-%m-%d %H:%M:%S} UTC.")


def _recorded(steps: Mapping[str, StepRecord]) -> Amounts:
    done = [step for step in steps.values() if step.is_done and step.kind != "emit"]
    return Amounts(
        steps=sum(1 for step in done if step.status == "succeeded"),
        children=sum(_started_by(step) for step in steps.values()),
        tokens=sum(step.input_tokens + step.output_tokens for step in done),
        microusd=sum(step.cost_microusd or 0 for step in done),
    )


def _started_by(step: StepRecord) -> int:
    """Give how many sub-runs a step has started: a call one, a window of many as many as it says."""
    if step.kind == "each" and step.status != "failed":
        return int(decode(step.input)["count"])
    return int(step.kind == "call")
