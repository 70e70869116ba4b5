"""What is left of a run: its rows in the tables, and what the outside saw of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from django.forms.models import model_to_dict

from agents.models import Inbox, Run, RunEvent, Step, Wait
from tests.chaos.ledger import Known
from tests.chaos.outside import Effect

AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Child:
    """A sub-run, as its parent's trace knows it."""

    id: str
    parent_key: str
    workflow: str
    status: str
    output: Any


@dataclass(frozen=True, slots=True)
class Recorded:
    """A step's outcome stood from the epoch and attempt that recorded it until the last epoch before a retry."""

    key: str
    epoch: int
    attempt: int
    until: float = float("inf")


@dataclass
class Trace:
    """All that is left of one run. Events are in the order of their numbers, steps include those set aside."""

    run: Run
    known: Known | None
    root: Known | None
    """What the client knows of the run at the top of the tree."""
    steps: list[Step]
    events: list[RunEvent]
    effects: list[Effect]
    children: list[Child]
    told: set[str] = field(default_factory=set)
    """The tokens of the messages that it was sent."""

    @property
    def id(self) -> str:
        return str(self.run.pk)

    @property
    def plan(self) -> Any:
        """What it was to do; None for a handler of a cancel."""
        return self.run.input.get("plan") if isinstance(self.run.input, dict) else None

    def of_kind(self, kind: str) -> list[RunEvent]:
        return [event for event in self.events if event.kind == kind]

    def recorded(self) -> list[Recorded]:
        """Give which outcomes stood when, in epochs, as the log tells it."""
        epoch, standing, found = 0, dict[str, Recorded](), list[Recorded]()
        for event in self.events:
            if event.kind == "run_started":
                epoch = event.data["epoch"]
            elif event.kind == "step_finished" or (event.kind == "step_failed" and not _is_unknown(event)):
                standing[event.data["key"]] = Recorded(event.data["key"], epoch, event.data["attempt"])
            elif event.kind == "run_retried":
                for key in event.data["superseded"]:
                    if old := standing.pop(key, None):
                        found.append(Recorded(old.key, old.epoch, old.attempt, epoch))
        return [*found, *standing.values()]

    def dump(self) -> str:
        """Give everything as JSON, for people."""
        content = {
            "run": model_to_dict(self.run) | {"id": self.id},
            "known": asdict(self.known) if self.known else None,
            "events": [[e.number, e.kind, e.at.isoformat(), e.data] for e in self.events],
            "steps": [model_to_dict(step) for step in self.steps],
            "effects": [asdict(effect) for effect in self.effects],
            "waits": list(Wait.objects.filter(run=self.run).values()),
            "inbox": list(Inbox.objects.filter(run=self.run).values()),
            "children": [asdict(child) for child in self.children],
        }
        return json.dumps(content, indent=1, default=str)


def traces(known: dict[str, Known], effects: dict[str, list[Effect]]) -> Iterator[Trace]:
    """Give the trace of every run, a few hundred in memory at a time."""
    ids = list(Run.objects.order_by("id").values_list("pk", flat=True))
    for first in range(0, len(ids), AT_ONCE):
        yield from _load(ids[first : first + AT_ONCE], known, effects)


def _load(ids: list[UUID], known: dict[str, Known], effects: dict[str, list[Effect]]) -> Iterator[Trace]:
    steps = _grouped(Step.objects.filter(run_id__in=ids).order_by("id"))
    events = _grouped(RunEvent.objects.filter(run_id__in=ids).order_by("run_id", "number"))
    told: dict[UUID, set[str]] = defaultdict(set)
    for run_id, token in Inbox.objects.filter(run_id__in=ids).values_list("run_id", "token"):
        told[run_id].add(token)
    children: dict[UUID, list[Child]] = defaultdict(list)
    for child in Run.objects.filter(parent_id__in=ids).order_by("id"):
        assert child.parent_id is not None
        children[child.parent_id].append(
            Child(str(child.pk), child.parent_key, child.workflow, child.status, child.output)
        )
    for run in Run.objects.filter(pk__in=ids).order_by("id"):
        yield Trace(
            run=run,
            known=known.get(str(run.pk)),
            root=known.get(str(run.root_id or run.pk)),
            steps=steps[run.pk],
            events=events[run.pk],
            effects=effects.get(str(run.pk), []),
            children=children[run.pk],
            told=told[run.pk],
        )


def _grouped(rows: Iterable[Any]) -> dict[UUID, list[Any]]:
    found: dict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.run_id].append(row)
    return found


def _is_unknown(event: RunEvent) -> bool:
    return bool((event.data.get("error") or {}).get("unknown"))
