"""Calls in processes as rows: started once, told of once, by whoever has the right to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.utils import timezone

from agents.engine import call_outcomes, control, leases, process_calls, reaping
from agents.engine.messages import ToolResult
from agents.models import Inbox, ProcessCall, Run, RunEvent, Step, Wait, Worker
from tests.factories import make_run, make_worker

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "tool:grind#0"
DONE = call_outcomes.of_result(ToolResult("tool", "ground", name="grind"), None)


@pytest.fixture
def run() -> Run:
    made = make_run()
    Wait.objects.create(run=made, kind="process", key=f"process:{KEY}", name="grind")
    return made


def call_of(run: Run, effect: str = "none") -> UUID:
    values = {"kind": "tool", "name": "grind", "status": "running", "effect": effect, "input": {"corn": 3}}
    Step.objects.create(run=run, key=KEY, started_at=timezone.now(), **values)
    return ProcessCall.objects.create(id=uuid4(), run=run, key=KEY, tool="grind", timeout=9.0, memory=64).id


def living(host: str = "north") -> Worker:
    return leases.register_worker(queue="tools", slots=1, lease=8.0, host=host)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    def act(call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(act, calls))


def test_it_starts_once_and_is_told_of_once(run: Run) -> None:
    token, workers = call_of(run), [living("north"), living("south")]
    started = [s for s in at_once(*(lambda w=w: process_calls.start(token, w) for w in workers * 2)) if s is not None]
    (call,) = started
    assert (call.arguments, call.timeout, call.memory, call.workspace_id) == ({"corn": 3}, 9.0, 64, run.workspace_id)
    run.refresh_from_db()
    host = Worker.objects.get(pk=call.worker_id).host
    assert run.reason == f"waiting for a process of its own: grind on {host}"
    # Another's word, or a second one, is refused.
    other = next(worker.pk for worker in workers if worker.pk != call.worker_id)
    assert not process_calls.finish(token, other, DONE)
    tries = [lambda: process_calls.finish(token, call.worker_id, DONE)] * 4
    assert sorted(at_once(*tries)) == [False, False, False, True]
    assert Inbox.objects.get(run=run).token == str(token)
    run.refresh_from_db()
    assert (run.status, Wait.objects.count(), process_calls.is_open(token)) == ("queued", 0, False)


def test_a_cancel_leaves_nothing_to_start_and_nothing_to_tell(run: Run) -> None:
    queued, worker = call_of(run, "unsafe"), living()
    control.cancel(run.id, by="somebody")
    assert process_calls.start(queued, worker) is None
    assert Step.objects.get().status == "unknown"

    other = make_run()
    started = process_calls.start(call_of(other), worker)
    assert started is not None
    control.cancel(other.id, by="somebody")
    assert not process_calls.finish(started.token, worker.pk, DONE)
    process_calls.tell_progress(started, "far", 0.9)
    assert not RunEvent.objects.filter(kind="step_progress").exists()
    assert Step.objects.get(run=other).status == "interrupted"


def test_a_run_that_is_to_be_cancelled_starts_none() -> None:
    run = make_run(status="running", wanted="cancel")
    assert process_calls.start(call_of(run), living()) is None


def test_what_a_process_tells_goes_to_the_worker_that_has_its_run() -> None:
    run = make_run(status="running")
    call = process_calls.start(call_of(run), living())
    assert call is not None
    process_calls.tell_progress(call, "half", 0.5)
    run.refresh_from_db()
    # Only that worker writes the log.
    assert (run.wakes, RunEvent.objects.filter(run=run).count()) == (2, 0)
    told = [message.data for message in Inbox.objects.filter(run=run, name="log").order_by("id")]
    assert [kind for kind, _ in told] == ["process_started", "step_progress"]
    assert told[1][1] == {"key": KEY, "attempt": 1, "text": "half", "done": 0.5}


def test_the_calls_of_a_dead_worker_are_lost(run: Run) -> None:
    gone = make_worker(host_id=leases.host_id(), pid=2**22 + 1, lease=8.0, host="north", queue="tools")
    call = process_calls.start(call_of(run), gone)
    assert call is not None
    # Before anybody else notices: who is given its task once more.
    assert process_calls.lose_if_gone(call.token)
    told = Inbox.objects.get(run=run).data
    assert (told["type"], call_outcomes.settled_at(told)) == ("WorkerDied", None)


def test_a_silent_worker_may_still_be_at_it(run: Run) -> None:
    silent, alive = make_worker(lease=8.0, host="north", queue="tools"), living()
    call = process_calls.start(call_of(run), silent)
    other = make_run()
    kept = process_calls.start(call_of(other), alive)
    assert call is not None
    assert kept is not None
    assert not process_calls.lose_if_gone(call.token)
    assert reaping.reap() == 1
    settled = call_outcomes.settled_at(Inbox.objects.get(run=run).data)
    assert settled is not None
    assert (settled - call.started_at).total_seconds() == pytest.approx(17.0)
    assert [call.id for call in ProcessCall.objects.all()] == [kept.token]
    assert not process_calls.finish(call.token, silent.pk, DONE)
