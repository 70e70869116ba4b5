"""What a limit asks for, as a plain value, and the arithmetic of its rate.

A rate is kept by handing out start times, `step` seconds apart (GCRA). A call may begin a little late, `tolerance` at
most, else its start time is void and it takes another. So the calls that begin within any period have start times from
within period + tolerance, and `step` is made so that these are never more than the amount.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tools.models.limit import is_covered

TOLERANCE = 0.03
"""Share of the period by which a call may begin late: what is given up of the rate for never exceeding it."""
LEAST_TOLERANCE, MOST_TOLERANCE = 0.03, 0.5


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit. `amount` per `period` seconds, counted in `unit`; `at_once` at the same time."""

    limit_id: int
    workspace_id: int | None
    name: str
    amount: int | None = None
    period: float = 1.0
    burst: int = 1
    unit: str = "calls"
    at_once: int | None = None

    @property
    def tolerance(self) -> float:
        """The seconds by which a call may begin late."""
        return min(max(self.period * TOLERANCE, LEAST_TOLERANCE), MOST_TOLERANCE)

    @property
    def step(self) -> float:
        """The seconds from one unit's start to the next."""
        return (self.period + self.tolerance) / (self.amount or 1)

    @property
    def slack(self) -> float:
        """The seconds by which a burst may run ahead of the rate."""
        return (self.burst - 1) * self.step

    def covers(self, workspace_id: int, key: str) -> bool:
        """Whether a call of this workspace counts for this limit under this name."""
        if self.workspace_id not in (None, workspace_id):
            return False
        return is_covered(key, self.name)


def rules_for(rules: Iterable[Rule], workspace_id: int, keys: Iterable[str]) -> list[tuple[Rule, str]]:
    """Give the limits that calls under these names count for, each with the name; the slowest rate first."""
    found = [(rule, key) for key in keys for rule in rules if rule.covers(workspace_id, key)]
    return sorted(found, key=lambda each: (-each[0].step if each[0].amount else 0.0, each[0].limit_id, each[1]))
