"""Which disruption comes when: a function of the seed, so that a run of the chaos can be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

Database = Literal["sqlite", "postgresql"]

PROCESSES = (
    "kill busy worker",
    "kill busy worker",
    "kill idle worker",
    "kill pusher",
    "kill monitor",
    "kill sentinel",
    "kill main",
    "kill cluster",
    "kill web",
    "terminate worker",
    "terminate main",
    "terminate group",
    "stop worker",
    "stop worker",
    "stop cluster",
    "stop cluster",
    "stop sentinel",
)
DATABASES: dict[Database, tuple[str, ...]] = {
    "postgresql": ("end sessions", "end sessions", "restart database", "crash database", "lock runs"),
    "sqlite": ("hold lock", "hold lock", "short web", "checkpoint"),
}
GAP = (0.5, 4.5)
"""Seconds from one disruption to the next."""
LASTING = (0.1, 1.5)
LONG = (1.1, 1.8)
"""How long what lasts does so, in leases; those who are stopped for longer than one lose their runs meanwhile."""
OUTLIVES_LEASE = ("stop worker", "stop cluster")


@dataclass(frozen=True, slots=True)
class Disruption:
    """What is to happen, at so many seconds after the beginning.

    `which` (0 to 1) chooses among those that it may hit, `seconds` is how long it lasts if it lasts.
    """

    at: float
    kind: str
    which: float
    seconds: float


def schedule(seed: int, seconds: float, database: Database, lease: float) -> Iterator[Disruption]:
    """Give the disruptions in their order. Every kind comes once before any comes again."""
    random = Random(f"chaos {seed} {database}")
    at, bag = 0.0, list[str]()
    while True:
        at += random.uniform(*GAP)
        if at >= seconds:
            return
        if not bag:
            bag = [*PROCESSES, *DATABASES[database]]
            random.shuffle(bag)
        kind = bag.pop()
        leases = random.uniform(*(LONG if kind in OUTLIVES_LEASE else LASTING))
        yield Disruption(round(at, 2), kind, random.random(), round(leases * lease, 2))
