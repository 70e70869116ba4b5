"""The life of runs, told as events like any other: which events there are, and what each says. Pure.

They are written in the transaction of what they tell of, where somebody wants them (interest.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias
from uuid import UUID

from agents.engine.canonical import JSON, decode, digest, encode
from agents.engine.event_names import patterns_of
from agents.engine.happening_records import About, EmittedRecord
from agents.engine.records import Change, Finish, Park, RunRow, WaitRecord
from agents.engine.trust_records import ApprovalRecord

SOURCE: Final = "agentsite"
"""Whose events these are; nobody else may say so."""
ENDS: Final = {status: f"run.{status}" for status in ("succeeded", "failed", "cancelled")}
NEEDS_ATTENTION: Final = "run.needs_attention"
REQUESTED: Final = "approval.requested"
DECIDED: Final = "approval.decided"
NAMES: Final = (*ENDS.values(), NEEDS_ATTENTION, REQUESTED, DECIDED)
ATTENTION: Final = ("unknown", "changed")
"""Kinds of waits that only a person's decision on a step ends."""

PATTERNS: Final = {name: tuple(patterns_of(name)) for name in NAMES}
"""The patterns by which each is wanted."""

Told: TypeAlias = tuple[int, str]
"""A workspace, and the name of an event that may be told of there."""


class State(Protocol):
    """What a run has come to: its row, however it was read."""

    @property
    def id(self) -> UUID: ...
    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def last_event(self) -> int: ...
    @property
    def steps_done(self) -> int: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def cost_microusd(self) -> int: ...
    @property
    def finished_at(self) -> datetime | None: ...


class Place(Protocol):
    """Where a run stands in its tree."""

    @property
    def parent_id(self) -> UUID | None: ...
    @property
    def root_id(self) -> UUID | None: ...


def asked_of(changes: Iterable[Change]) -> set[Told]:
    """Give what changes may tell of, without looking whether they will be accepted."""
    asked: set[Told] = set()
    for change in changes:
        ending = change.ending
        if isinstance(ending, Finish):
            asked.add((change.workspace_id, ENDS[ending.status]))
        elif isinstance(ending, Park) and any(wait.kind in ATTENTION for wait in ending.waits):
            asked.add((change.workspace_id, NEEDS_ATTENTION))
        if change.trust is not None and change.trust.approvals:
            asked.add((change.workspace_id, REQUESTED))
    return asked


def patterned(asked: Iterable[Told]) -> list[tuple[int, str, str]]:
    """Give what may be told of with each of the patterns by which it is wanted."""
    return [(workspace_id, name, pattern) for workspace_id, name in asked for pattern in PATTERNS[name]]


def events_of(change: Change, row: RunRow, wanted: AbstractSet[Told], now: datetime) -> Iterator[EmittedRecord]:
    """Give what a change that was accepted tells of, as far as it is wanted; the row is as it is after it."""
    ending, about = change.ending, change.about
    if about is None:
        return
    if isinstance(ending, Finish) and (change.workspace_id, ENDS[ending.status]) in wanted:
        yield end_event(row, change, about, decode(row.error))
    elif isinstance(ending, Park) and (change.workspace_id, NEEDS_ATTENTION) in wanted:
        for wait in ending.waits:
            if wait.kind in ATTENTION:
                yield _attention_event(row, change, about, wait, now)
    if change.trust is not None and (change.workspace_id, REQUESTED) in wanted:
        for approval in change.trust.approvals:
            yield _request_event(row.id, about, approval)


def end_event(row: State, place: Place, about: About, error: JSON) -> EmittedRecord:
    """Tell of the end of a run. A run that was retried ends more than once, each time at another entry of its log."""
    assert row.finished_at is not None
    data = _data(row, place, about)
    if isinstance(error, Mapping):
        data["error"] = {name: error[name] for name in ("type", "step") if name in error}
    id = f"{row.id}:{row.last_event}"
    return EmittedRecord(ENDS[row.status], encode(data), SOURCE, row.finished_at, about.tainted, id)


def question_event(name: str, run_id: UUID, about: About, said: Mapping[str, Any], at: datetime) -> EmittedRecord:
    """Tell of a question to a person; what is said of it has its `id` and its `status`."""
    rest = {key: value for key, value in said.items() if key != "id"}
    data = {"approval": said["id"], "run": run_id, **_who(about), **rest}
    return EmittedRecord(name, encode(data), SOURCE, at, about.tainted, f"{said['id']}:{said['status']}")


def _attention_event(row: State, place: Place, about: About, wait: WaitRecord, now: datetime) -> EmittedRecord:
    """Tell that a run waits for a decision on a step: once, however often it is parked with it."""
    data = {**_data(row, place, about), "step": wait.name, "kind": wait.kind}
    id = f"{row.id}:{digest([wait.kind, wait.key, wait.data])}"
    return EmittedRecord(NEEDS_ATTENTION, encode(data), SOURCE, now, about.tainted, id)


def _request_event(run_id: UUID, about: About, asked: ApprovalRecord) -> EmittedRecord:
    said = {
        "id": asked.id,
        "status": "open",
        "key": asked.key,
        "kind": asked.kind,
        "subject": asked.subject,
        "tool": asked.tool,
        "effect": asked.effect,
        "why": asked.why,
        "expires_at": asked.expires_at,
    }
    return question_event(REQUESTED, run_id, about, said, asked.asked_at)


def _data(row: State, place: Place, about: About) -> dict[str, Any]:
    return {
        "run": row.id,
        "status": row.status,
        "reason": row.reason,
        **_who(about),
        "parent": place.parent_id,
        "root": place.root_id,
        "steps_done": row.steps_done,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost_microusd": row.cost_microusd,
        "created_at": about.created_at,
        "finished_at": row.finished_at,
    }


def _who(about: About) -> dict[str, Any]:
    return {"agent": about.agent, "agent_version": about.version, "workflow": about.workflow}
