"""What a benchmark measures with: a real instance on a database of its own, runs in bulk, clocks and memory."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psutil
from django.db import connection, transaction
from django.db.models import F, Max, Min

from agents.engine.canonical import JSON
from agents.engine.database_clock import database_now
from agents.engine.journal.store import RUN_COST_US
from agents.engine.notify import announce
from agents.engine.ranking import next_rank
from agents.models import ACTIVE, Run, RunEvent, RunStatus, Step, Worker, WorkerState, Workspace
from agents.services.runs import start_run
from tests.instance import Instance, Process, wait_until

WARM_UP_RUNS = 300
END_SECONDS = 300.0
SETTLE_SECONDS = 1.5
CLOCK_DIFFERENCE = 2.0
"""Seconds by which a worker's idea of the database's time may be off."""


@dataclass(frozen=True)
class Work:
    """What each of many runs has to do: a workflow with an input, for an agent or none, and the steps that it takes."""

    workflow: str
    input: JSON
    agent: str = ""
    steps: int = 1


@dataclass(frozen=True)
class Span:
    """When the first of some runs was claimed and when the last one ended."""

    started_at: datetime
    finished_at: datetime

    @property
    def seconds(self) -> float:
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class Bench:
    """An instance that is set up; what a benchmark starts in it is stopped after it."""

    instance: Instance
    rows: int
    """How many finished runs growth and plans put into the tables."""
    runs: int
    """How many runs memory lets through."""

    @property
    def workspace(self) -> Workspace:
        return Workspace.objects.get(slug="default")

    def start_worker(self, *, processes: int = 1, slots: int = 500) -> Process:
        """Start a cluster of the queue `runs` and wait until its worker processes have registered."""
        cluster = self.instance.start_worker(WORKERS=str(processes), SLOTS=str(slots))
        wait_until(lambda: len(self.workers(cluster)) == processes, 60.0, "the worker processes")
        time.sleep(SETTLE_SECONDS)
        return cluster

    def workers(self, cluster: Process) -> list[Worker]:
        """Give the living worker processes of a cluster."""
        pids = [child.pid for child in cluster.children()]
        return list(Worker.objects.filter(state=WorkerState.ALIVE, pid__in=pids))

    def start_run(self, workflow: str, **input: float) -> Run:
        """Queue one run as a request does."""
        return start_run(workspace=self.workspace, workflow=workflow, input=dict(input))

    def queue_runs(self, workflow: str, count: int, **input: float | str) -> list[UUID]:
        """Queue many runs of the same input."""
        return self.queue_each(workflow, [dict(input) for _ in range(count)])

    def queue_each(self, workflow: str, inputs: Sequence[JSON], *, agent: str = "") -> list[UUID]:
        """Queue many runs at once: in one transaction, ranked as one request after the other would rank them."""
        workspace = self.workspace
        version = workspace.agents.get(name=agent).current if agent else None
        now = database_now()
        with transaction.atomic():
            rank = next_rank(workspace.pk, now, 0)
            runs = [
                Run(
                    workspace=workspace,
                    agent_version=version,
                    workflow=workflow,
                    input=input,
                    rank=rank + index * RUN_COST_US,
                    created_at=now,
                    last_event=1,
                )
                for index, input in enumerate(inputs)
            ]
            Run.objects.bulk_create(runs, batch_size=500)
            events = [RunEvent(run=run, number=1, kind="run_queued", at=now, data={"by": "bench"}) for run in runs]
            RunEvent.objects.bulk_create(events, batch_size=500)
            Workspace.objects.filter(pk=workspace.pk).update(queue_tag=F("queue_tag") + len(runs) * RUN_COST_US)
            announce(queue=True, live=True)
        return [run.id for run in runs]

    def wait_for_end(self, runs: list[UUID], seconds: float = END_SECONDS) -> Span:
        """Wait until these runs, queued together, have all succeeded."""
        among = Run.objects.filter(id__range=(min(runs), max(runs)))
        deadline = time.monotonic() + seconds
        while among.filter(status__in=ACTIVE).exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(runs)} runs did not end in {seconds:g} s.\n{self.instance.logs()}")
            # Asking costs the same processors: seldom where there is much to do.
            time.sleep(0.02 if len(runs) == 1 else 0.25)
        failed = among.exclude(status=RunStatus.SUCCEEDED).first()
        if failed is not None:
            raise RuntimeError(f"A run ended as {failed.status}: {failed.error}\n{self.instance.logs()}")
        span = among.aggregate(started_at=Min("started_at"), finished_at=Max("finished_at"))
        return Span(**span)

    def warm_up(self) -> None:
        """Let caches fill and connections open, so that the first runs measured are like the last."""
        self.wait_for_end(self.queue_runs("bench_noops", WARM_UP_RUNS))
        time.sleep(SETTLE_SECONDS)


class Memory:
    """How much of a process is resident, and how much it grows at most from here on."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._idle = self._read("VmRSS")
        # The kernel notes the peak anew.
        Path(f"/proc/{pid}/clear_refs").write_text("5")

    def now(self) -> int:
        """Give the bytes held now."""
        return self._read("VmRSS")

    def own(self) -> int:
        """Give the bytes held now that are no pages of files: what only the process itself can give back."""
        # Summed page by page, while the counters in `status` are off by some hundred kilobytes at times.
        return self._read("Anonymous", of="smaps_rollup")

    def most(self) -> int:
        """Give the bytes held at most since the beginning."""
        return self._read("VmHWM")

    def most_over_idle(self) -> int:
        """Give the bytes held at most, over those held at the beginning."""
        return self.most() - self._idle

    def _read(self, field: str, of: str = "status") -> int:
        for entry in Path(f"/proc/{self._pid}/{of}").read_text().splitlines():
            name, _, value = entry.partition(":")
            if name == field:
                return int(value.split()[0]) * 1024
        raise ProcessLookupError(self._pid)


def wait_for_stamps(runs: Collection[UUID], since: float, seconds: float = 60.0) -> list[float]:
    """Wait until each of the runs has done a `stamp` step that started after a moment; give when the first did."""
    deadline = time.monotonic() + seconds
    while len(found := _stamps_since(runs, since)) < len(runs):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(runs) - len(found)} of {len(runs)} runs did not go on in {seconds:g} s.")
        time.sleep(0.2)
    return list(found.values())


def _stamps_since(runs: Collection[UUID], since: float) -> dict[UUID, float]:
    found: dict[UUID, float] = {}
    steps = Step.objects.filter(run__in=runs, name="stamp", superseded=False, finished_at__isnull=False)
    recent = steps.filter(started_at__gt=datetime.fromtimestamp(since - CLOCK_DIFFERENCE, UTC))
    for run, outcome in recent.values_list("run_id", "outcome"):
        stamp = float(outcome or 0)
        if stamp > since:
            found[run] = min(stamp, found.get(run, stamp))
    return found


def stamps_of(run: UUID) -> list[float]:
    """Give when the `stamp` steps of a run started, as they recorded it themselves."""
    steps = Step.objects.filter(run=run, name="stamp", superseded=False, outcome__isnull=False)
    return sorted(float(outcome or 0) for outcome in steps.values_list("outcome", flat=True))


def cpu_seconds(*pids: int) -> float:
    """Give the processor time that these processes and their descendants have used."""
    roots = [psutil.Process(pid) for pid in pids]
    times = [member.cpu_times() for root in roots for member in (root, *root.children(recursive=True))]
    # Those that have ended are counted with the parent that saw them end.
    return float(sum(each.user + each.system + each.children_user + each.children_system for each in times))


def database_pids() -> list[int]:
    """Give the process of the database server, if there is one: the parent of the one that serves us."""
    if connection.vendor == "sqlite":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return [psutil.Process(cursor.fetchone()[0]).ppid()]


def stored_bytes() -> int:
    """Give the size of the product's tables with their indexes, free pages left out where the database tells them."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.execute(
                "SELECT (page_count - freelist_count) * page_size"
                " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
            )
            return int(cursor.fetchone()[0])
        cursor.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'agents\\_%'"
        )
        return int(cursor.fetchone()[0])
