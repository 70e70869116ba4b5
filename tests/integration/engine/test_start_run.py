"""Accepting a run: once per Idempotency-Key, valid, in its place in the queue."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from agents.engine import Context, workflow
from agents.engine.canonical import clean_text
from agents.models import Run, RunEvent, Wait, Workspace
from agents.services.errors import IdempotencyConflict, InvalidInput, NotFound
from agents.services.runs import start_run
from tests.driving import PATIENCE, kinds
from tests.factories import make_agent, make_workspace


@pytest.fixture(autouse=True)
def echo(own_workflows: None) -> None:
    @workflow("start-echo")
    async def flow(ctx: Context, input: Any) -> Any:
        return input


def start(workspace: Workspace, **options: Any) -> Run:
    return start_run(**{"workspace": workspace, "workflow": "start-echo", "input": {"n": 1}, **options})


def test_queues_a_run_with_its_first_event(workspace: Workspace) -> None:
    run = Run.objects.get(pk=start(workspace, input="find out", tags=["a"], priority=3).pk)
    assert (run.status, run.input, run.tags, run.priority) == ("queued", {"goal": "find out"}, ["a"], 3)
    assert kinds(run.pk) == ["run_queued"]


def test_nothing_is_there_after_a_rollback(workspace: Workspace) -> None:
    with transaction.atomic():
        start(workspace)
        transaction.set_rollback(True)
    assert not Run.objects.exists()
    assert not RunEvent.objects.exists()


def test_a_later_run_waits_and_a_past_time_is_now(workspace: Workspace) -> None:
    later = start(workspace, not_before=timezone.now() + timedelta(hours=1))
    assert later.status == "waiting"
    assert Wait.objects.get(run=later).due_at is not None
    assert start(workspace, not_before=timezone.now() - timedelta(hours=1)).status == "queued"


def test_a_key_gives_the_same_run_and_refuses_another_request(workspace: Workspace) -> None:
    first = start(workspace, idempotency_key="k")
    assert start(workspace, idempotency_key="k").pk == first.pk
    for other in ({"input": {"n": 2}}, {"priority": 1}, {"tags": ["x"]}):
        with pytest.raises(IdempotencyConflict):
            start(workspace, idempotency_key="k", **other)
    assert start(make_workspace(), idempotency_key="k").pk != first.pk
    assert Run.objects.filter(workspace=workspace).count() == 1
    assert RunEvent.objects.filter(run=first).count() == 1


def test_many_at_once_with_one_key_start_one_run(workspace: Workspace) -> None:
    ids: list[UUID] = []
    errors: list[BaseException] = []
    ready = threading.Barrier(12)

    def post() -> None:
        try:
            ready.wait(PATIENCE)
            ids.append(start(workspace, idempotency_key="same").pk)
        except BaseException as error:  # noqa: BLE001 (shown below)
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not errors
    assert len(ids) == 12
    assert len(set(ids)) == Run.objects.count() == 1


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"workflow": "no-such"}, "workflow"),
        ({"priority": 11}, "priority"),
        ({"tags": [""]}, "tags"),
        ({"tags": ["x"] * 21}, "tags"),
        ({"input": object()}, "input"),
        ({"input": "x" * 1_000_001}, "input"),
        ({"idempotency_key": "k" * 201}, "Idempotency-Key"),
    ],
)
def test_refuses_what_is_not_valid(workspace: Workspace, options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        start(workspace, **options)
    assert refused.value.field == field
    assert not Run.objects.exists()


def test_an_agent_is_its_workspaces_own(workspace: Workspace) -> None:
    agent = make_agent(make_workspace(), workflow="start-echo")
    with pytest.raises(NotFound):
        start(workspace, agent=agent, workflow="")
    mine = make_agent(workspace, workflow="start-echo")
    run = start(workspace, agent=mine, workflow="")
    assert (run.agent_version, run.workflow) == (mine.current, "start-echo")


@pytest.mark.fault(47)
@pytest.mark.parametrize("text", ["nul \x00", "lone \ud800", "𝔘 and é"])
def test_hostile_text_is_cleaned_the_same_on_both_databases(workspace: Workspace, text: str) -> None:
    run = Run.objects.get(pk=start(workspace, input={text: [text]}).pk)
    expected = clean_text(text)
    assert run.input == {expected: [expected]}
    assert expected.isprintable()


FULL = 2
"""SQLite's number for a commit that waits for the disk."""


def test_a_run_in_the_callers_transaction_leaves_its_commit_durable(workspace: Workspace) -> None:
    question = "SHOW synchronous_commit" if connection.vendor == "postgresql" else "PRAGMA synchronous"

    def is_durable() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchone()[0] in ("on", FULL)

    start(workspace)
    assert is_durable()
    with transaction.atomic():
        start(workspace)
        assert is_durable()


def test_runs_queued_one_after_the_other_are_ranked_so(workspace: Workspace) -> None:
    ranks = [start(workspace).rank for _ in range(3)]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == 3
    assert start(workspace, priority=1).rank < ranks[0]
