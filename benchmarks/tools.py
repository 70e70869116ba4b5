"""What the layer around tools costs and saves, in one process, with the product's own context and limiter.

The service that is asked has one connection and takes 5 ms for each round trip, however much a request carries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

from agents.engine.ports import CallInfo
from agents.workflows.toolport import RegistryToolPort
from benchmarks.harness import Bench
from benchmarks.report import Figures, both
from tools import Batch, tool
from tools.limits.limiter import limiter
from tools.registry import Registry

CALLS, EQUAL_CALLS, CHAIN_CALLS = 1000, 500, 5000
ROUND_TRIP = 0.005
TARGETS = both(
    {
        "round_trips": "<= 40",
        "batched_times_faster": ">= 10",
        "chain_us_per_call": "<= 150",
        "chain_us_per_shared_call": "<= 150",
        "executions_of_500_equal_calls": "<= 1",
    }
)


class Word(BaseModel):
    """One call of the batchable tool."""

    word: int


class Service:
    """The tools, and the far side, which counts."""

    def __init__(self) -> None:
        self.round_trips = self.executions = 0
        self.known = Registry()
        self._connection = asyncio.Lock()
        self._declare()
        self._port = RegistryToolPort(search=lambda *_: (), known=self.known, limits=limiter)

    def _declare(self) -> None:
        @tool(into=self.known, effect="idempotent", batch=Batch())
        async def look_up_many(words: list[Word]) -> Sequence[str]:
            "Look words up, many at once."
            await self._ask()
            return [str(word.word) for word in words]

        @tool(into=self.known, effect="idempotent")
        async def look_up(word: int) -> str:
            "Look a word up."
            await self._ask()
            return str(word)

        @tool(into=self.known, effect="none")
        async def share(word: int) -> str:
            "Answer late, and count."
            self.executions += 1
            await asyncio.sleep(ROUND_TRIP)
            return str(word)

        @tool(into=self.known, effect="unsafe")
        async def at_once(word: int) -> str:
            "Answer at once."
            return str(word)

        @tool(into=self.known, effect="none")
        async def at_once_shared(word: int) -> str:
            "Answer at once; equal calls would be one."
            return str(word)

    async def _ask(self) -> None:
        async with self._connection:
            self.round_trips += 1
            await asyncio.sleep(ROUND_TRIP)

    async def call(self, name: str, word: int) -> Any:
        """Call a tool as a run does."""
        info = CallInfo(0, uuid4(), f"tool:{name}#0", 1, "key", lambda: datetime.now(UTC))
        return await self._port.call(name, {"word": word}, info)


async def seconds_of(name: str, service: Service, words: Callable[[int], int], calls: int) -> float:
    """Make the calls at once; give the time until all are answered."""
    began = time.perf_counter()
    await asyncio.gather(*(service.call(name, words(number)) for number in range(calls)))
    return time.perf_counter() - began


async def chain_us(name: str, service: Service) -> float:
    """Give the microseconds that a call takes whose tool does nothing: all of it is the chain and its surroundings."""
    for number in range(100):
        await service.call(name, number)
    began = time.perf_counter()
    for number in range(CHAIN_CALLS):
        await service.call(name, number)
    return (time.perf_counter() - began) / CHAIN_CALLS * 1e6


async def measure_all() -> Figures:
    service = Service()
    chain, shared = await chain_us("at_once", service), await chain_us("at_once_shared", service)
    batched = await seconds_of("look_up_many", service, lambda number: number, CALLS)
    round_trips, service.round_trips = service.round_trips, 0
    unbatched = await seconds_of("look_up", service, lambda number: number, CALLS)
    await seconds_of("share", service, lambda _: 7, EQUAL_CALLS)
    return {
        "calls": CALLS,
        "round_trips": round_trips,
        "round_trips_unbatched": service.round_trips,
        "batched_seconds": round(batched, 3),
        "unbatched_seconds": round(unbatched, 3),
        "batched_times_faster": round(unbatched / batched, 1),
        "chain_us_per_call": round(chain, 1),
        "chain_us_per_shared_call": round(shared, 1),
        "executions_of_500_equal_calls": service.executions,
    }


def measure(bench: Bench) -> Figures:
    return asyncio.run(measure_all())
