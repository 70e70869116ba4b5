"""The statements that are sent most, or by a person who waits, on full tables (`--rows`): time, pages touched, scans.

The plans themselves go to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.utils import timezone
from uuid_utils.compat import uuid7

from agents.api.authentication import find_token
from agents.engine import leases, reaping, suspects, waking
from agents.engine.database_clock import database_now
from agents.engine.journal.store import Store
from agents.engine.records import Batch, Change, ClaimRequest, EventRecord, Finish, Park, StepRecord, WaitRecord
from agents.engine.registry import known_workflows
from agents.live.reads import Want, read_lines, read_news
from agents.models import Run, RunStatus, Wait, WaitKind, Worker, Workspace
from agents.queue.broker import RunBroker
from agents.services.finding import RunFilter, find_runs
from agents.services.runs import start_run
from agents.web import queries
from benchmarks.filling import fill
from benchmarks.harness import Bench
from benchmarks.recording import Explained, Statement, explain, sent_by_django, sent_by_store
from benchmarks.report import Figures, both

TARGETS = both({"scans": "<= 0"})
QUEUED, RUNNING, WAITING = 2000, 500, 2000
BATCH = 64


@dataclass(frozen=True)
class Scene:
    """What is going on in the tables, besides all that has ended."""

    workspace: Workspace
    worker: Worker
    running: list[UUID]
    token: str

    @property
    def some(self) -> list[UUID]:
        """As many runs as a batch of the journal is about."""
        return self.running[:BATCH]


def measure(bench: Bench) -> Figures:
    figures: Figures = {"rows": bench.rows, "fill_seconds": round(fill(bench.rows), 1)}
    scene = _set(bench)
    found: dict[str, Explained] = {}
    for name, sent in _statements(scene).items():
        found[name] = explain(sent())
        _show(name, found[name])
    figures["scans"] = sum(each.scans for each in found.values())
    figures |= {f"{name}_ms": round(each.milliseconds, 2) for name, each in found.items()}
    if any(each.pages for each in found.values()):
        figures |= {f"{name}_pages": each.pages for name, each in found.items()}
    return figures


def _set(bench: Bench) -> Scene:
    """Queue runs, give some to a worker, let some wait."""
    token = bench.instance.token()
    workspace = bench.workspace
    worker = leases.register_worker(queue="runs", slots=RUNNING, lease=3600.0)
    ids = bench.queue_runs("bench_noops", QUEUED + RUNNING + WAITING)
    running, waiting = ids[:RUNNING], ids[RUNNING : RUNNING + WAITING]
    Run.objects.filter(id__in=running).update(status=RunStatus.RUNNING, worker=worker, epoch=1)
    Run.objects.filter(id__in=waiting).update(status=RunStatus.WAITING, epoch=1)
    tomorrow = database_now() + timedelta(days=1)
    Wait.objects.bulk_create(Wait(run_id=id, kind=WaitKind.TIMER, due_at=tomorrow) for id in waiting)
    return Scene(workspace, worker, running, token)


def _statements(scene: Scene) -> dict[str, Callable[[], list[Statement]]]:
    """Name the actions; each gives the statements it sends."""
    asked = _of_workers(scene) | _of_requests(scene)
    return {
        **{name: partial(sent_by_store, action) for name, action in _of_the_journal(scene).items()},
        **{name: partial(sent_by_django, action) for name, action in asked.items()},
    }


def _of_the_journal(scene: Scene) -> dict[str, Callable[[Store], object]]:
    worker, now, some = scene.worker, database_now(), scene.some

    def write(*changes: Change, claim: ClaimRequest | None = None) -> Callable[[Store], object]:
        return lambda store: store.write(worker.pk, Batch(worker.batch + 1, list(changes), claim), now)

    return {
        "claim": write(claim=ClaimRequest(BATCH)),
        "steps_begin": write(*(_change(id, "running") for id in some)),
        "steps_end": write(*(_change(id, "succeeded") for id in some)),
        "park": write(*(_parked(id) for id in some)),
        "finish": write(*(_finished(id) for id in some)),
        "watch": lambda store: store.watch(worker.pk),
        "histories": lambda store: store.histories(some),
        "messages": lambda store: store.messages(some[0]),
    }


def _of_workers(scene: Scene) -> dict[str, Callable[[], object]]:
    """What a worker and its broker ask again and again, besides the journal."""
    worker, broker = scene.worker, RunBroker("runs")
    return {
        "heartbeat": lambda: leases.heartbeat(worker.pk, busy=0),
        "held_runs": lambda: leases.held_runs(worker.pk),
        "reap": reaping.reap,
        "wake_due": waking.wake_due,
        "wake_for_workflows": lambda: waking.wake_for_workflows(known_workflows()),
        "suspects": suspects.are_waiting,
        "broker": broker._hints,
        "broker_flagged": broker._flagged,
        "forget": leases.forget,
    }


def _of_requests(scene: Scene) -> dict[str, Callable[[], object]]:
    """What requests to the API, pages and the hub behind them ask."""
    workspace, some = scene.workspace, scene.some

    def listed(**wanted: object) -> Callable[[], object]:
        rows = find_runs(workspace=workspace, wanted=RunFilter(**wanted))  # type: ignore[arg-type]  # checked by it
        return lambda: list(rows[:51])

    def page(**filters: object) -> Callable[[], object]:
        return lambda: queries.runs_page(workspace, queries.RunFilters(**filters))  # type: ignore[arg-type]  # as above

    return {
        "token": lambda: find_token(scene.token),
        "start_run": lambda: start_run(workspace=workspace, workflow="bench_nothing", input={"goal": "go"}),
        "hub_news": lambda: read_news({id: Want(0, 0, None) for id in some}),
        "hub_list": lambda: read_lines(workspace.pk, some),
        "api_list": listed(),
        "api_failed": listed(status=("failed",)),
        "api_waiting": listed(status=("waiting",)),
        "api_tag": listed(tag="nightly"),
        "api_since": listed(created_after=timezone.now() + timedelta(hours=1)),
        "api_tree": listed(root=some[0]),
        "page": page(),
        "page_active": page(status="active"),
        "page_failed": page(status="failed"),
        "page_hour": page(period="hour"),
        "page_before": page(before=uuid7()),
        "home": lambda: queries.recent_runs(workspace),
        "names": lambda: queries.names_in_use(workspace),
        "queue_of_workspace": lambda: queries.queue_state(workspace),
        "queue_of_all": queries.queue_state,
    }


def _change(id: UUID, status: str) -> Change:
    """A step that begins, or one that is recorded with its row there already (as far as the statement goes)."""
    now = database_now()
    is_done = status == "succeeded"
    step = StepRecord("noop#0", "step", "noop", now, status=status, is_stored=is_done)  # type: ignore[arg-type]
    step.finished_at, step.outcome = (now, '"done"') if is_done else (None, None)
    event = EventRecord("step_finished" if is_done else "step_started", now, '{"key":"noop#0"}')
    return Change(id, 1, steps={step.key: step}, events=[event])


def _parked(id: UUID) -> Change:
    wait = WaitRecord("timer", due_at=database_now() + timedelta(days=1))
    return Change(id, 1, ending=Park((wait,), "waiting", 0))


def _finished(id: UUID) -> Change:
    event = EventRecord("run_succeeded", database_now(), "{}")
    return Change(id, 1, events=[event], ending=Finish("succeeded", output='"done"'))


def _show(name: str, explained: Explained) -> None:
    print(f"{name}: {explained.milliseconds:.2f} ms, {explained.pages} pages, {explained.scans} scans", file=sys.stderr)
    for plan in explained.plans:
        print(f"  {plan}", file=sys.stderr)
