"""What travels between a run's execution and the journal: plain values, no behaviour.

Times are aware datetimes (UTC); texts named `…_text` or typed `str | None` beside "JSON text" are canonical JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import UUID

from agents.engine.call_records import CallsChange
from agents.engine.happening_records import About, EmittedRecord, Listening
from agents.engine.trust_records import TrustChange

Status = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
WantedFlag = Literal["", "pause", "cancel"]
StepState = Literal["running", "retrying", "succeeded", "failed", "interrupted", "unknown"]
WaitKindName = Literal[
    "timer", "child", "event", "person", "slot", "worker", "process", "turn", "place", "paused", "changed", "unknown"
]
ON_CANCEL = "on_cancel"
"""Key under which a cancelled run's handler is its sub-run."""
STARTING_RUNS = frozenset({"call", "each"})
"""Kinds of steps that start runs: which, their input says, also when they are done."""
ENDED: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(slots=True)
class StepRecord:
    """A step as it is stored. `attempts`, `input`, `outcome` and `error` are JSON texts.

    `is_stored` says that the tables already have a row for this key, so that the journal updates instead of inserting;
    `previous` is the state before this one, as long as it may not have been written yet. `is_counted` says that an
    earlier state was done, so that the run's totals have it already. `is_put` says that it was put into a change, so
    that it may be in the writer's hands and must not be touched any more.
    """

    key: str
    kind: str
    name: str
    started_at: datetime
    label: str = ""
    status: StepState = "running"
    effect: str = "none"
    attempt: int = 1
    attempts: str | None = None
    digest: str = ""
    input: str | None = None
    outcome: str | None = None
    large: UUID | None = None
    error: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int | None = None
    finished_at: datetime | None = None
    is_stored: bool = False
    is_counted: bool = False
    is_put: bool = False
    previous: StepRecord | None = None

    def follow(self, **changes: Any) -> StepRecord:
        """Give the record's next state: a new record, or this one if nobody else has seen it yet."""
        if not self.is_put:
            self.is_counted |= self.is_done
            for name, value in changes.items():
                setattr(self, name, value)
            return self
        # Written out: dataclasses.replace costs ten times as much, twice per step.
        new = StepRecord(
            self.key,
            self.kind,
            self.name,
            self.started_at,
            self.label,
            self.status,
            self.effect,
            self.attempt,
            self.attempts,
            self.digest,
            self.input,
            self.outcome,
            self.large,
            self.error,
            self.input_tokens,
            self.output_tokens,
            self.cost_microusd,
            self.finished_at,
            is_counted=self.is_done,
            previous=self,
        )
        for name, value in changes.items():
            setattr(new, name, value)
        return new

    def settle_storage(self) -> None:
        """Find out whether the tables have a row for it, once all earlier states of it were written."""
        if self.previous is not None:
            self.previous.settle_storage()
            self.is_stored |= self.previous.is_stored
            self.previous = None

    @property
    def is_done(self) -> bool:
        return self.status in ("succeeded", "failed")

    @property
    def is_plain(self) -> bool:
        """Whether its first attempt succeeded, and it used no model and has no large outcome."""
        return (
            self.status == "succeeded"
            and self.attempt == 1
            and self.attempts is None
            and self.large is None
            and self.cost_microusd is None
            and not (self.input_tokens or self.output_tokens)
        )


class EventRecord(NamedTuple):
    """An entry for the run's log; its number is given when it is written. `data` is JSON text."""

    kind: str
    at: datetime
    data: str


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """Something told to a run: `name` says to which of its steps, `token` makes it unique. `data` is JSON text."""

    run_id: UUID
    name: str
    token: str
    data: str | None
    id: int = 0


@dataclass(frozen=True, slots=True)
class WaitRecord:
    """One thing a parked run waits for.

    `needed` messages for `key` are still missing; a key that ends in "/" stands for all keys that begin with it
    (a join). `due_at` makes it a timer.
    """

    kind: WaitKindName
    key: str = ""
    name: str = ""
    due_at: datetime | None = None
    needed: int = 1
    data: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What a sub-run executes: a workflow, for an agent version or without an agent; `seconds` are the agent's cap."""

    workflow: str
    agent_version_id: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ChildRecord:
    """A sub-run to be queued. `input` is JSON text.

    `tainted`, `tools`, the JSON text of a list of names or None, and `budget`, the caps of its tree, it has from its
    parent.
    """

    id: UUID
    target: Target
    parent_key: str
    input: str
    priority: int
    created_at: datetime
    tainted: bool = False
    tools: str | None = None
    budget: Mapping[str, Any] | None = None
    deadline_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ArtifactRecord:
    """A file made by a step; its content is already in the store at `address`."""

    id: UUID
    key: str
    name: str
    media_type: str
    size: int
    address: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LargeRecord:
    """An outcome too large for its step's row, compressed."""

    id: UUID
    data: bytes


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that was handed to this worker, with what its row says. `input`, `tools`, `budget` are JSON texts."""

    id: UUID
    epoch: int
    workspace_id: int
    workflow: str
    agent_version_id: int | None
    input: str | None
    parent_id: UUID | None
    parent_key: str
    root_id: UUID | None
    depth: int
    priority: int
    wakes: int
    wanted: WantedFlag
    last_event: int
    created_at: datetime
    is_suspect: bool = False
    tainted: bool = False
    tools: str | None = None
    budget: str | None = None
    deadline_at: datetime | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether nobody has ever worked on it, so that there is no history to load."""
        return self.epoch == 1 and self.wakes == 0


@dataclass(frozen=True, slots=True)
class Park:
    """Let the run wait, if nobody has told it anything since `seen_wakes`."""

    waits: tuple[WaitRecord, ...]
    reason: str
    seen_wakes: int


@dataclass(frozen=True, slots=True)
class Finish:
    """End the run. `output` and `error` are JSON texts; `tainted` says that strangers may speak through them."""

    status: Literal["succeeded", "failed", "cancelled"]
    output: str | None = None
    error: str | None = None
    reason: str = ""
    tainted: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """Give the run back to the queue."""

    reason: str


Ending: TypeAlias = Park | Finish | Release


@dataclass(slots=True)
class Change:
    """All that one batch writes about one run. `about` is there where events of the run's life may be told of.

    `listens` are waits for events that begin, `deaf` the keys of those that are over.
    """

    run_id: UUID
    epoch: int
    parent_id: UUID | None = None
    parent_key: str = ""
    workspace_id: int = 0
    root_id: UUID | None = None
    depth: int = 0
    steps: dict[str, StepRecord] = field(default_factory=dict)
    events: list[EventRecord] = field(default_factory=list)
    children: list[ChildRecord] = field(default_factory=list)
    artifacts: list[ArtifactRecord] = field(default_factory=list)
    larges: list[LargeRecord] = field(default_factory=list)
    consumed: list[int] = field(default_factory=list)
    superseded: list[str] = field(default_factory=list)
    streamed: list[str] = field(default_factory=list)
    emitted: list[EmittedRecord] = field(default_factory=list)
    listens: list[Listening] = field(default_factory=list)
    deaf: list[str] = field(default_factory=list)
    trust: TrustChange | None = None
    calls: CallsChange | None = None
    about: About | None = None
    ending: Ending | None = None

    def absorb(self, newer: Change) -> None:
        """Take over what came later for the same run."""
        for key, step in newer.steps.items():
            self.steps[key] = step
        for name in LISTS:
            getattr(self, name).extend(getattr(newer, name))
        if newer.trust is not None:
            self.trust = newer.trust.after(self.trust)
        if newer.calls is not None:
            self.calls = newer.calls.after(self.calls)
        self.about = newer.about or self.about
        self.ending = newer.ending or self.ending


LISTS = (
    *("events", "children", "artifacts", "larges", "consumed", "superseded", "streamed", "emitted"),
    *("listens", "deaf"),
)
"""Of a change, what a later one adds to."""


@dataclass(slots=True)
class RunRow:
    """The mutable part of a run's row, read under its lock and written back as a whole."""

    id: UUID
    status: Status
    reason: str
    wanted: WantedFlag
    worker_id: int | None
    epoch: int
    wakes: int
    last_event: int
    steps_done: int
    input_tokens: int
    output_tokens: int
    cost_microusd: int
    output: str | None = None
    error: str | None = None
    finished_at: datetime | None = None


class Committed(NamedTuple):
    """The change stands in the tables. `parked` is False if a park was refused because somebody spoke meanwhile."""

    wakes: int
    wanted: WantedFlag
    parked: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """The lease is lost; nothing of the change was written."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """A row is held elsewhere for a moment; the change belongs in the next batch."""


Answer: TypeAlias = Committed | Refused | Postponed


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """How many runs a worker would take. `full` scans the queue from its start, past the low-water rank.

    A worker that holds nothing is `empty`: it is given one suspect, if there is one, and nothing else.
    """

    limit: int
    full: bool = True
    is_empty: bool = False


@dataclass(slots=True)
class Batch:
    """What the journal writes in one transaction. `number` grows by one from batch to batch of a worker."""

    number: int
    changes: list[Change]
    claim: ClaimRequest | None = None


@dataclass(slots=True)
class BatchResult:
    """What became of a batch: one answer per change in their order, and the runs that were claimed."""

    answers: list[Answer]
    claimed: list[Claimed] = field(default_factory=list)


@dataclass(slots=True)
class History:
    """What is recorded of a run: its steps that were not superseded and its unread messages.

    `wakes` was read before the messages were, so a later wake can't be overlooked.
    """

    wakes: int
    wanted: WantedFlag
    steps: dict[str, StepRecord] = field(default_factory=dict)
    messages: list[MessageRecord] = field(default_factory=list)
