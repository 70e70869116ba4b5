"""Caps on running runs: of a workspace, of an agent, and of a value in the input of an agent's runs.

A worker that has claimed a run of which such a cap holds asks here before it drives it. Without a permit the run parks
and waits for a place; the sweeps that workers make give the places that are free, in the order of the queue. What is
free follows from the tables: a permit holds as long as its run runs in the permit's epoch, so that nothing has to be
given back, by anybody, however the run ends. Decisions about one workspace are made one at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from agents.engine.canonical import JSON, decode, encode
from agents.engine.database_clock import database_now
from agents.engine.queueing import BATCH, queue
from agents.engine.records import WaitRecord
from agents.models import Run, RunPermit, RunStatus, Wait, WaitKind, Workspace

LOCK_CLASS = 0x41444D
"""Of PostgreSQL's advisory locks: with the workspace's number it says who decides about its places."""
MAX_KEY = 60
HOLDING = Q(run__status=RunStatus.RUNNING, run__epoch=F("epoch")) | Q(
    run__status=RunStatus.QUEUED, run__epoch=F("epoch") - 1
)
"""Permits that hold: of runs that are at work, and of those that were given their place and are about to be claimed."""


class Group(NamedTuple):
    """Runs for which the same caps hold. The caps are those of their version; the workspace's may change."""

    workspace: int
    agent: int = 0
    agent_cap: int | None = None
    field: str = ""
    value: str = ""
    key_cap: int | None = None

    @property
    def name(self) -> str:
        """The text that stands in the waits of such runs."""
        return encode(self)

    @property
    def key(self) -> str:
        """What the agent tells its runs apart by: field and value; empty where it does not."""
        return f"{self.field}={self.value}" if self.key_cap is not None else ""

    @property
    def caps(self) -> list[tuple[tuple[Any, ...], int]]:
        """Those of the agent, each with what is counted for it."""
        found: list[tuple[tuple[Any, ...], int]] = []
        if self.agent_cap is not None:
            found.append(((self.agent,), self.agent_cap))
        if self.key_cap is not None:
            found.append(((self.agent, self.key), self.key_cap))
        return found


WHOLE: tuple[Any, ...] = ()
"""What is counted for the cap of the workspace."""


def group_of(workspace: int, agent: int, caps: Mapping[str, Any], input: JSON) -> Group:
    """Give the group of a run by the caps of its agent's version and by its input."""
    most, name, per_key = caps.get("max_running"), caps.get("running_key"), caps.get("max_running_per_key")
    value = input.get(name) if name and per_key and isinstance(input, dict) else None
    if value is None:
        return Group(workspace, agent, most)
    return Group(workspace, agent, most, _short(name), _short(value), per_key)


def _short(value: JSON) -> str:
    """Give a value as a text that fits a column, another one for another value."""
    text = value if isinstance(value, str) else encode(value)
    if len(encode(text)) <= MAX_KEY and text.isprintable():
        return text
    return f"#{blake2b(text.encode('utf-8', 'replace'), digest_size=12).hexdigest()}"


def read_group(name: str) -> Group:
    """Read the name of a group."""
    return Group(*decode(name))


@dataclass(frozen=True, slots=True)
class Asking:
    """A run that a worker has claimed in this epoch, and may drive if there is a place."""

    run_id: UUID
    epoch: int
    group: Group
    agent_name: str = ""


@dataclass(slots=True)
class Candidate:
    """A run that wants a place: of a worker that asks, or parked."""

    rank: int
    run_id: UUID
    epoch: int
    group: Group
    asking: Asking | None = None


@dataclass(slots=True)
class Places:
    """The places of one workspace while they are given: how many are taken of each cap."""

    cap: int | None
    taken: Counter[tuple[Any, ...]] = field(default_factory=Counter)

    def take(self, group: Group) -> None:
        """Count a run of this group."""
        self.taken.update({WHOLE: 1, (group.agent,): 1})
        if group.key:
            self.taken[group.agent, group.key] += 1

    def room(self, group: Group) -> int:
        """Give how many more runs of the group there is room for."""
        return min([cap - self.taken[counted] for counted, cap in self._caps(group)], default=BATCH)

    def full(self, group: Group, agent_name: str) -> str:
        """Say which cap leaves no room."""
        counted, cap = min(self._caps(group), key=lambda each: each[1] - self.taken[each[0]])
        whom = "of this workspace"
        if counted != WHOLE:
            whom = f"of agent {agent_name}" + (f" with {group.key}" if len(counted) > 1 else "")
        taken = self.taken[counted]
        if taken > cap:
            return f"{taken} runs {whom} are running, more than the {cap} allowed"
        return f"{taken} of {cap} runs {whom} are running"

    def _caps(self, group: Group) -> list[tuple[tuple[Any, ...], int]]:
        return group.caps if self.cap is None else [(WHOLE, self.cap), *group.caps]


@dataclass(frozen=True, slots=True)
class Given:
    """What a sweep found: how many runs it queued, whether runs wait for places, which workspaces have a cap."""

    queued: int
    are_waiting: bool
    capped: frozenset[int]


def give_places() -> Given:
    """Queue parked runs for which there is a place now."""
    capped = frozenset(Workspace.objects.filter(max_running__isnull=False).values_list("pk", flat=True))
    groups = _groups()
    queued = sum(decide(workspace)[1] for workspace in sorted({group.workspace for group in groups}))
    return Given(queued, bool(groups), capped)


def admit(asking: Sequence[Asking]) -> dict[UUID, WaitRecord]:
    """Give permits to claimed runs as far as there are places; gives those that have to wait, with what they wait for.

    Who waits longer, or is more urgent, comes first.
    """
    refused: dict[UUID, WaitRecord] = {}
    for workspace in sorted({each.group.workspace for each in asking}):
        refused |= decide(workspace, [each for each in asking if each.group.workspace == workspace])[0]
    return refused


def adopt(running: Sequence[Asking]) -> None:
    """Count runs that were at work before a cap was set: they have their places, also beyond it."""
    for workspace in sorted({each.group.workspace for each in running}):
        with transaction.atomic():
            _lock(workspace)
            have = set(RunPermit.objects.filter(HOLDING, workspace=workspace).values_list("run_id", flat=True))
            mine = [each for each in running if each.group.workspace == workspace and each.run_id not in have]
            _grant([(each.run_id, each.epoch, each.group) for each in mine])


def decide(workspace: int, asking: Sequence[Asking] = ()) -> tuple[dict[UUID, WaitRecord], int]:
    """Give the free places of a workspace; gives who of those that ask has to wait, and how many runs were queued."""
    with transaction.atomic():
        _lock(workspace)
        places = Places(Workspace.objects.values_list("max_running", flat=True).get(pk=workspace))
        holders = _count_holders(workspace, places)
        new = [each for each in asking if (each.run_id, each.epoch) not in holders]
        candidates = [*_askers(new), *_parked(workspace, places)]
        granted, woken, refused = [], [], {}
        for each in sorted(candidates, key=lambda each: (each.rank, each.run_id)):
            if places.room(each.group) <= 0:
                if each.asking is not None:
                    words = places.full(each.group, each.asking.agent_name)
                    refused[each.run_id] = WaitRecord("place", key=words, name=each.group.name)
                continue
            places.take(each.group)
            if each.asking is not None:
                granted.append((each.run_id, each.epoch, each.group))
            else:
                woken.append(each)
        _grant(granted)
        return refused, _wake(woken)


def _lock(workspace: int) -> None:
    """Let nobody else decide about this workspace until the commit. On SQLite, no transaction but one writes."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_CLASS, workspace % 2**31])


def _count_holders(workspace: int, places: Places) -> set[tuple[UUID, int]]:
    """Count the permits that hold, and forget the others."""
    holders, void = set(), []
    permits = RunPermit.objects.filter(workspace=workspace).annotate(holds=Q(HOLDING))
    for run_id, epoch, agent, key, holds in permits.values_list("run_id", "epoch", "agent_id", "key", "holds"):
        if not holds:
            void.append(run_id)
            continue
        holders.add((run_id, epoch))
        places.taken.update({WHOLE: 1, (agent or 0,): 1})
        if key:
            places.taken[agent or 0, key] += 1
    for at in range(0, len(void), BATCH):
        RunPermit.objects.filter(run_id__in=void[at : at + BATCH]).delete()
    return holders


def _askers(asking: Sequence[Asking]) -> list[Candidate]:
    by_id = {each.run_id: each for each in asking}
    rows = Run.objects.filter(pk__in=by_id, status=RunStatus.RUNNING).values_list("rank", "pk", "epoch")
    # Of one that is lost meanwhile its worker hears when it writes.
    return [
        Candidate(rank, pk, epoch, by_id[pk].group, by_id[pk]) for rank, pk, epoch in rows if epoch == by_id[pk].epoch
    ]


def _groups(workspace: int | None = None) -> list[Group]:
    """Give the groups of which runs wait for a place."""
    waits = Wait.objects.filter(kind=WaitKind.PLACE).order_by()
    if workspace is not None:
        waits = waits.filter(name__startswith=f"[{workspace},")
    return [read_group(name) for name in waits.values_list("name", flat=True).distinct()]


def _parked(workspace: int, places: Places) -> list[Candidate]:
    """Give, of each group for which there is room, as many parked runs, the first of the queue."""
    found = []
    for group in _groups(workspace):
        room = places.room(group)
        if room > 0:
            first = _waiting(group).order_by("rank", "pk").values_list("rank", "pk", "epoch")[:room]
            found += [Candidate(rank, pk, epoch, group) for rank, pk, epoch in first]
    return found


def _waiting(group: Group) -> QuerySet[Run]:
    """The runs of a group that wait for a place, and that nobody has paused."""
    paused = Wait.objects.filter(run=OuterRef("pk"), kind=WaitKind.PAUSED)
    places = Wait.objects.filter(kind=WaitKind.PLACE, name=group.name).values("run_id")
    return Run.objects.filter(~Exists(paused), pk__in=places, status=RunStatus.WAITING)


def _wake(chosen: Sequence[Candidate]) -> int:
    """Queue parked runs, each with the permit for the epoch into which it will be claimed."""
    if not chosen:
        return 0
    by_id = {each.run_id: each for each in chosen}
    rows = Run.objects.select_for_update(skip_locked=True, no_key=True).filter(pk__in=by_id, status=RunStatus.WAITING)
    runs = list(rows.order_by("pk").only("id", "epoch", "last_event"))
    # Asked anew under the locks: somebody may have paused one of them.
    paused = set(Wait.objects.filter(run__in=runs, kind=WaitKind.PAUSED).values_list("run_id", flat=True))
    runs = [run for run in runs if run.pk not in paused]
    Wait.objects.filter(run__in=runs).delete()
    _grant([(run.pk, run.epoch + 1, by_id[run.pk].group) for run in runs])
    return queue(runs, "run_woken", {"by": "place"}, "its turn has come")


def _grant(granted: Iterable[tuple[UUID, int, Group]]) -> None:
    now = database_now()
    RunPermit.objects.bulk_create(
        [
            RunPermit(
                run_id=run_id,
                epoch=epoch,
                workspace_id=group.workspace,
                agent_id=group.agent or None,
                key=group.key,
                granted_at=now,
            )
            for run_id, epoch, group in granted
        ],
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=("run",),
        update_fields=("epoch", "workspace", "agent", "key", "granted_at"),
    )
