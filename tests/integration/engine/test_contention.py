"""Rows that others hold, and writers who meet: nobody stalls and nobody deadlocks; on the real tables."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections, transaction
from uuid_utils.compat import uuid7

from agents.engine.journal.opening import open_store
from agents.engine.records import (
    Batch,
    ChildRecord,
    ClaimRequest,
    Committed,
    Finish,
    Postponed,
    Target,
)
from agents.models import Inbox, Run, Worker, Workspace
from tests.batches import NOW, Writer, change, child_of, event
from tests.driving import PATIENCE, kinds
from tests.factories import make_run, make_worker, make_workspace


def test_many_claim_at_once_and_none_twice(workspace: Workspace) -> None:
    for rank in range(60):
        make_run(workspace, status="queued", rank=rank)
    taken: list[UUID] = []
    workers = [make_worker() for _ in range(4)]

    def take(worker: Worker) -> None:
        mine = open_store()
        number = 0
        while True:
            number += 1
            claimed = mine.write(worker.pk, Batch(number, [], ClaimRequest(4)), NOW).claimed
            taken.extend(run.id for run in claimed)
            if not claimed and not Run.objects.filter(status="queued").exists():
                break
        mine.close()
        connections.close_all()

    threads = [threading.Thread(target=take, args=[worker]) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(taken) == len(set(taken)) == 60


@contextmanager
def row_held_elsewhere(run: Run) -> Iterator[None]:
    """Another connection holds the run's row until the block ends."""
    is_held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Run.objects.select_for_update().get(pk=run.pk)
            is_held.set()
            release.wait(PATIENCE)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(PATIENCE)
    try:
        yield
    finally:
        release.set()
        thread.join(PATIENCE)


def test_a_row_held_elsewhere_is_postponed_and_stalls_nobody(writer: Writer, run: Run) -> None:
    if connection.vendor == "sqlite":
        # SQLite has one writer at a time: the batch waits its turn instead.
        assert writer.write(change(run, events=[event("one")])) == [Committed(0, "")]
        return
    others = [make_run(run.workspace, status="running", worker=writer.worker, epoch=1) for _ in range(3)]
    changes = [change(one, events=[event("one")]) for one in (others[0], run, *others[1:])]
    with row_held_elsewhere(run):
        answers = writer.write(*changes)
    assert answers == [Committed(0, ""), Postponed(), Committed(0, ""), Committed(0, "")]
    assert kinds(run.pk) == []
    assert writer.write(changes[1]) == [Committed(0, "")]
    assert [kinds(one.pk) for one in (run, *others)] == [["one"]] * 4


def test_a_child_whose_parent_is_held_is_postponed(writer: Writer, run: Run) -> None:
    if connection.vendor == "sqlite":
        return
    child = child_of(run, "call:c#0")
    Run.objects.filter(pk=child.pk).update(worker=writer.worker)
    end = change(child, Finish("succeeded", output="0"))
    with row_held_elsewhere(run):
        assert writer.write(end) == [Postponed()]
    assert writer.write(end) == [Committed(0, "")]
    assert Inbox.objects.get().token == str(child.pk)


def test_workspaces_are_locked_in_one_order(writer: Writer, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two batches that queue sub-runs for the same two workspaces must not wait for each other."""
    runs = [make_run(make_workspace(), status="running", worker=worker, epoch=1) for _ in range(3)]
    locked: list[int] = []
    stock = writer.store.next_ranks

    def next_ranks(workspace_id: int, count: int) -> list[int]:
        locked.append(workspace_id)
        return stock(workspace_id, count)

    monkeypatch.setattr(writer.store, "next_ranks", next_ranks)
    made = [ChildRecord(uuid7(), Target("child"), "call:c#0", "{}", 0, NOW) for _ in runs]
    writer.write(*(change(run, children=[child]) for run, child in zip(runs[::-1], made, strict=True)))
    assert locked == sorted(run.workspace_id for run in runs)


def test_two_writers_never_deadlock(workspace: Workspace) -> None:
    """Batches over the same rows in opposite orders, from two connections."""
    parents = [make_run(workspace, status="waiting", epoch=1) for _ in range(6)]
    workers = [make_worker(), make_worker()]
    errors: list[BaseException] = []

    def write(worker: Worker, order: int) -> None:
        mine = open_store()
        try:
            children = [child_of(parent, f"call:{uuid4()}") for parent in parents]
            Run.objects.filter(pk__in=[c.pk for c in children]).update(worker=worker)
            waiting = [change(child, Finish("succeeded", output="0")) for child in children[::order]]
            number = 0
            while waiting:
                number += 1
                answers = mine.write(worker.pk, Batch(number, waiting), NOW).answers
                waiting = [c for c, a in zip(waiting, answers, strict=True) if a == Postponed()]
        except BaseException as error:  # noqa: BLE001 (shown below)
            errors.append(error)
        finally:
            mine.close()
            connections.close_all()

    threads = [
        threading.Thread(target=write, args=[worker, order]) for worker, order in zip(workers, (1, -1), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not errors
    assert set(Run.objects.filter(pk__in=[p.pk for p in parents]).values_list("wakes", flat=True)) == {2}
