"""How an agent's latest runs went: how many succeeded, what they took and cost."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import median

from agents.models import ENDED, Run, RunStatus, Workspace

LATEST = 500
"""Of a workspace's runs, so many are looked at."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of an agent's ended runs among the workspace's latest ones: medians of seconds and of millionths of a dollar.

    `microusd` is None where of none of them all prices are known.
    """

    ended: int
    succeeded: int
    seconds: float
    microusd: float | None

    @property
    def percent(self) -> int:
        return round(100 * self.succeeded / self.ended)


def figures_of(workspace: Workspace) -> dict[int, Figures]:
    """Give the figures of each agent that has ended runs among the workspace's latest, by its id."""
    runs = Run.objects.of(workspace).exclude(agent_version=None).with_prices().order_by("-id")
    fields = ("agent_version__agent", "status", "started_at", "finished_at", "cost_microusd", "unpriced")
    ended: dict[int, list[tuple[str, float, int | None]]] = defaultdict(list)
    for agent, status, started, finished, cost, is_unpriced in runs.values_list(*fields)[:LATEST]:
        if status in ENDED and started and finished:
            ended[agent].append((status, (finished - started).total_seconds(), None if is_unpriced else cost))
    return {
        agent: Figures(
            ended=len(rows),
            succeeded=sum(status == RunStatus.SUCCEEDED for status, _, _ in rows),
            seconds=median(seconds for _, seconds, _ in rows),
            microusd=median(costs) if (costs := [cost for _, _, cost in rows if cost is not None]) else None,
        )
        for agent, rows in ended.items()
    }
