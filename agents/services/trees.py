"""The tree of runs that a run belongs to: which runs there are, how far they are, and what they have taken together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Max, Q

from agents.engine import trees
from agents.engine.caps import MICROUSD, Amounts, Caps
from agents.models import ENDED, Run
from agents.models.run import RunQuerySet

SHOWN = 200
"""Runs of a tree that are listed at most; those above the one that was asked for come besides."""


@dataclass(frozen=True, slots=True)
class CapUse:
    """How much of a cap of the tree is used, in the cap's own unit: seconds, US dollars, or a number."""

    name: str
    used: float
    most: float


@dataclass(frozen=True, slots=True)
class RunTree:
    """All runs of a tree, each after the one that started it.

    `hidden` are not listed. `ended` of `children` sub-runs have ended; `taken` is what all runs have taken together,
    its cost too where `is_priced`; else prices of models are unknown.
    """

    runs: tuple[Run, ...]
    hidden: int
    children: int
    ended: int
    taken: Amounts
    is_priced: bool
    uses: tuple[CapUse, ...]


def read_tree(run: Run, now: datetime) -> RunTree:
    """Give the tree that a run belongs to, the runs nearest to its top first where not all can be listed."""
    root = run if run.root_id is None else _listed(run).filter(pk=run.root_id).first() or run
    below = Run.objects.few_of(run.workspace).filter(root_id=root.pk)
    counts = below.order_by().aggregate(
        children=Count("pk"), ended=Count("pk", filter=Q(status__in=ENDED)), depth=Max("depth")
    )
    listed = {root.pk: root}
    if counts["children"]:
        # A run is less deep than those that it starts: so none is listed without the one above it.
        found = _listed(run).filter(root_id=root.pk).order_by("depth", "pk")[: SHOWN - 1]
        listed |= {one.pk: one for one in found}
        _add_line(listed, run)
    taken = trees.taken(root.pk) if counts["children"] else _taken_by(root)
    return RunTree(
        runs=tuple(_nested(list(listed.values()))),
        hidden=max(0, counts["children"] + 1 - len(listed)),
        children=counts["children"],
        ended=counts["ended"],
        taken=taken,
        is_priced=root.is_priced and not below.unpriced().exists(),
        uses=_uses(root, taken, counts["depth"] or 0, now),
    )


def _taken_by(run: Run) -> Amounts:
    """Give what one run has taken, as its row says."""
    return Amounts(steps=run.steps_done, tokens=run.input_tokens + run.output_tokens, microusd=run.cost_microusd)


def _listed(run: Run) -> RunQuerySet:
    runs = Run.objects.few_of(run.workspace).select_related("agent_version__agent")
    return runs.defer("output", "error").with_prices()


def _add_line(listed: dict[UUID, Run], run: Run) -> None:
    """List the run that was asked for, and those above it, in any case."""
    above: UUID | None = run.pk
    while above is not None and above not in listed:
        one = _listed(run).filter(pk=above).first()
        if one is None:
            return
        listed[above] = one
        above = one.parent_id


def _nested(runs: Collection[Run]) -> list[Run]:
    """Put each run after the one that started it, those of one run in the order in which they were started."""
    known = {run.pk for run in runs}
    below: defaultdict[UUID | None, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.pk, reverse=True):
        below[run.parent_id if run.parent_id in known else None].append(run)
    ordered: list[Run] = []
    left = below[None]
    while left:
        run = left.pop()
        ordered.append(run)
        left += below[run.pk]
    return ordered


def _uses(root: Run, taken: Amounts, depth: int, now: datetime) -> tuple[CapUse, ...]:
    """Say how much is used of each cap that was set for the tree."""
    begins_at, caps = root.created_at, Caps.of(root.budget)
    if caps.seconds is not None and root.deadline_at is not None:
        begins_at = root.deadline_at - timedelta(seconds=caps.seconds)
    used: dict[str, float] = {
        "steps": taken.steps,
        "depth": depth,
        "children": taken.children,
        "seconds": max(0.0, ((root.finished_at or now) - begins_at).total_seconds()),
        "tokens": taken.tokens,
        "usd": taken.microusd / MICROUSD,
    }
    return tuple(CapUse(name, used[name], most) for name, most in caps.told().items())
