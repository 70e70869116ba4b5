"""The life of runs as events: written with what they tell of, once, where somebody wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import Client

from agents.engine import Context, control, retrying, trees, verdicts, workflow
from agents.engine.beside import Round
from agents.engine.happening_records import About
from agents.engine.journal.opening import open_store
from agents.engine.journal.store import Store, Unavailable
from agents.engine.records import Batch, Change, EventRecord, Finish, Park, WaitRecord
from agents.models import (
    Agent,
    Approval,
    Event,
    Listener,
    Match,
    Run,
    Subscription,
    WebhookDelivery,
    WebhookEndpoint,
    Worker,
    Workspace,
)
from agents.services import launching
from agents.services.approvals import decide_approval
from agents.services.events import send_signal
from agents.services.runs import cancel_run, start_run
from tests.driving import PATIENCE, RunningDriver, until, wait_for
from tests.factories import make_agent, make_approval, make_run, make_user, make_worker, make_workspace

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
Subscribe = Callable[..., Subscription]


@pytest.fixture
def worker() -> Worker:
    return make_worker()


@pytest.fixture
def store(transactional_db: None) -> Iterator[Store]:
    made = open_store()
    yield made
    made.close()


def told(*names: str) -> list[Event]:
    return list(Event.objects.filter(name__in=names).order_by("id") if names else Event.objects.order_by("id"))


def names() -> list[str]:
    return [event.name for event in told()]


def running(workspace: Workspace, worker: Worker, **overrides: Any) -> Run:
    return make_run(workspace, status="running", worker=worker, epoch=1, **overrides)


def ending(run: Run, ending: Any) -> Change:
    """Give the change by which a worker ends or parks a run."""
    about = About(run.workflow, None, None, run.created_at, tainted=False)
    entry = EventRecord("run_failed", NOW, "{}")
    return Change(run.pk, 1, workspace_id=run.workspace_id, events=[entry], about=about, ending=ending)


FAILED = Finish("failed", error='{"type":"Boom","message":"it broke"}', reason="failed: it broke")


# -- what is told of, by whom ----------------------------------------------------------------------------------------


def test_a_failed_run_starts_the_agent_that_looks_after_failures(
    workspace: Workspace, driver: RunningDriver, subscribe: Subscribe
) -> None:
    @workflow("breaks")
    async def breaks(ctx: Context, input: Any) -> Any:
        raise ValueError("no rope left")

    @workflow("looks_after")
    async def looks_after(ctx: Context, input: Any) -> Any:
        return input

    agent = make_agent(workspace, "breaker", workflow="breaks")
    make_agent(workspace, "medic", workflow="looks_after")
    given = {"run": "{{ data.run }}", "why": "{{ data.reason }}"}
    only = {"path": "agent", "equals": "breaker"}
    subscribe("failures", pattern="run.failed", agent="medic", filter=only, input=given)

    failed = until(start_run(workspace=workspace, agent=agent, input=None).pk)

    match = wait_for(lambda: Match.objects.select_related("event", "run").filter(run__isnull=False).first())
    assert until(match.run_id).output == {"run": str(failed.pk), "why": "failed: no rope left"}
    event = match.event
    assert (event.name, event.source, event.cause_id) == ("run.failed", "agentsite", failed.pk)
    assert (event.event_id, event.occurred_at) == (f"{failed.pk}:{failed.last_event}", failed.finished_at)
    assert event.data == {
        "run": str(failed.pk),
        "status": "failed",
        "reason": "failed: no rope left",
        "error": {"type": "ValueError"},
        "agent": "breaker",
        "agent_version": 1,
        "workflow": "breaks",
        "parent": None,
        "root": None,
        **dict.fromkeys(("steps_done", "input_tokens", "output_tokens", "cost_microusd"), 0),
        "created_at": failed.created_at.isoformat(),
        "finished_at": failed.finished_at.isoformat() if failed.finished_at else None,
    }
    # Of the run that succeeded nobody wants to know.
    assert names() == ["run.failed"]


def test_a_run_that_starts_itself_by_its_end_comes_to_an_end(
    workspace: Workspace, driver: RunningDriver, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    @workflow("again")
    async def again(ctx: Context, input: Any) -> Any:
        return None

    monkeypatch.setattr(launching, "MAX_CHAIN", 3)
    agent = make_agent(workspace, "again", workflow="again")
    subscribe("again", pattern="run.*", agent="again")

    start_run(workspace=workspace, agent=agent, input=None)

    skipped = wait_for(lambda: Match.objects.filter(status="skipped").first())
    assert "chain" in skipped.reason
    wait_for(lambda: not Run.objects.exclude(status="succeeded").exists())
    assert [event.depth for event in told("run.succeeded")] == [0, 1, 2, 3, 4]


def test_questions_to_people_and_their_decisions_are_told_of(
    workspace: Workspace, driver: RunningDriver, subscribe: Subscribe
) -> None:
    @workflow("asks")
    async def asks(ctx: Context, input: Any) -> Any:
        return await ctx.ask("Which colour?")

    subscribe(pattern="approval.*", state="draft")
    run_id = start_run(workspace=workspace, workflow="asks", input=None).pk
    approval: Approval = wait_for(Approval.objects.waiting().first)
    person = make_user(workspace)
    decide_approval(approval, choice="answer", value="red", by=person)
    until(run_id)

    asked, decided = told()
    assert (asked.name, asked.event_id, asked.cause_id) == ("approval.requested", f"{approval.pk}:open", run_id)
    about = {"run": str(run_id), "approval": str(approval.pk), "kind": "ask", "subject": "Which colour?"}
    assert asked.data.items() >= {**about, "status": "open", "workflow": "asks", "agent": None}.items()
    assert (decided.name, decided.event_id) == ("approval.decided", f"{approval.pk}:answered")
    assert decided.data.items() >= {**about, "status": "answered", "by": person.username}.items()


def test_what_ends_or_expires_without_a_worker_is_told_of_too(
    workspace: Workspace, agent: Agent, subscribe: Subscribe
) -> None:
    subscribe("runs", pattern="run.*", state="paused")
    subscribe("questions", pattern="approval.decided", state="paused")
    gone = make_run(workspace, agent_version=agent.current)
    late = make_run(workspace, deadline_at=NOW - timedelta(days=1))
    asking = make_run(workspace, tainted=True)
    approval = make_approval(asking, expires_at=NOW - timedelta(days=1))

    cancel_run(gone, by=None)
    trees.end_overdue()
    verdicts.expire_due()

    found = {event.name: event for event in told()}
    assert {name: event.cause_id for name, event in found.items()} == {
        "run.cancelled": gone.pk,
        "run.failed": late.pk,
        "approval.decided": asking.pk,
    }
    assert (found["run.cancelled"].data["agent"], found["run.cancelled"].data["status"]) == ("packer", "cancelled")
    assert found["run.failed"].data["error"] == {"type": "CapReached"}
    assert (found["approval.decided"].event_id, found["approval.decided"].tainted) == (f"{approval.pk}:expired", True)


def test_a_run_that_needs_a_decision_says_so_once_for_each(
    workspace: Workspace, subscribe: Subscribe, store: Store, worker: Worker
) -> None:
    subscribe(pattern="run.needs_attention", state="draft")
    run = running(workspace, worker)
    unknown = WaitRecord("unknown", "decide:pay#0", "pay#0", data='{"attempt":1}')
    for number, waits in enumerate(
        [(unknown,), (unknown, WaitRecord("timer", due_at=NOW)), (WaitRecord("person"),)], 1
    ):
        store.write(worker.pk, Batch(number, [ending(run, Park(waits, "outcome of pay#0 unknown", 0))]), NOW)
        Run.objects.filter(pk=run.pk).update(status="running", worker=worker)

    (event,) = told()
    assert event.data.items() >= {"run": str(run.pk), "status": "waiting", "kind": "unknown", "step": "pay#0"}.items()
    # After a second attempt it is another matter.
    again = WaitRecord("unknown", "decide:pay#0", "pay#0", data='{"attempt":2}')
    store.write(worker.pk, Batch(9, [ending(run, Park((again,), "", 0))]), NOW)
    assert names() == ["run.needs_attention"] * 2


def test_a_run_waits_for_the_end_of_another(workspace: Workspace, driver: RunningDriver) -> None:
    @workflow("follows")
    async def follows(ctx: Context, input: Any) -> Any:
        event = await ctx.wait_event("run.cancelled", {"path": "run", "equals": input["other"]})
        return event and event.data["status"]

    other = make_run(workspace)
    run_id = start_run(workspace=workspace, workflow="follows", input={"other": str(other.pk)}).pk
    wait_for(lambda: Listener.objects.filter(has_looked_back=True).exists())
    cancel_run(other, by=None)
    assert until(run_id).output == "cancelled"


def test_endpoints_get_them_like_other_events(workspace: Workspace, dispatch: Callable[[], Round]) -> None:
    endpoint = WebhookEndpoint.objects.create(
        workspace=workspace, name="shop", url="https://shop.example/", events=["order.*", "run.cancelled"]
    )
    run = make_run(workspace)
    cancel_run(run, by=None)
    dispatch()
    delivery = WebhookDelivery.objects.get(endpoint=endpoint)
    assert delivery.event_name == "run.cancelled"
    assert str(run.pk) in delivery.body


# -- with what they tell of, once, if wanted -------------------------------------------------------------------------


def test_nothing_is_written_that_nobody_here_wants(
    workspace: Workspace, agent: Agent, subscribe: Subscribe, store: Store, worker: Worker
) -> None:
    subscribe("orders", pattern="order.*")
    subscribe("successes", pattern="run.succeeded")
    make_agent(other := make_workspace(), "packer")
    Subscription.objects.create(workspace=other, name="all", pattern="*", agent=Agent.objects.get(workspace=other))
    WebhookEndpoint.objects.create(workspace=workspace, name="shop", url="https://shop.example/", events=["run.x"])
    mine, theirs = running(workspace, worker), running(other, worker)

    store.write(worker.pk, Batch(1, [ending(mine, FAILED), ending(theirs, FAILED)]), NOW)
    cancel_run(make_run(workspace), by=None)

    assert [event.cause_id for event in told()] == [theirs.pk]


def test_an_end_that_is_rolled_back_was_none(
    workspace: Workspace, subscribe: Subscribe, store: Store, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(pattern="run.*")
    run = running(workspace, worker)
    with monkeypatch.context() as patch:
        # The last that is done before the commit.
        patch.setattr(store, "announce", _fail)
        with pytest.raises(OSError, match="gone"):
            store.write(worker.pk, Batch(1, [ending(run, FAILED)]), NOW)
    with transaction.atomic():
        cancel_run(make_run(workspace), by=None)
        transaction.set_rollback(True)
    assert not Event.objects.exists()
    assert not Run.objects.filter(status="failed").exists()

    # The answer to this one is lost, and it is sent again.
    for _ in range(2):
        try:
            store.write(worker.pk, Batch(1, [ending(run, FAILED)]), NOW)
        except Unavailable:
            assert store.last_batch(worker.pk) == 1
    assert names() == ["run.failed"]
    # By one who has lost the run, nothing.
    store.write(worker.pk, Batch(2, [ending(run, FAILED)]), NOW)
    assert names() == ["run.failed"]


def test_a_run_that_is_retried_and_fails_again_is_told_of_again(
    workspace: Workspace, driver: RunningDriver, subscribe: Subscribe
) -> None:
    @workflow("breaks")
    async def breaks(ctx: Context, input: Any) -> Any:
        raise ValueError("no rope left")

    subscribe(pattern="run.failed", state="paused")
    run = until(start_run(workspace=workspace, workflow="breaks", input=None).pk)
    retrying.retry(run.pk, by="tester")
    wait_for(lambda: len(told("run.failed")) == 2)


def _fail(**_: Any) -> None:
    raise OSError("gone")


# -- somebody becomes interested at that very moment -----------------------------------------------------------------


@contextmanager
def held_before_commit(store: Store, worker: Worker, change: Change, number: int = 1) -> Iterator[Flag]:
    """Write a batch on a thread of its own, and hold it when all is written; the flag lets it commit."""
    reached, go = Flag(), Flag()
    announce = type(store).announce

    def hold(**told: bool) -> None:
        announce(store, **told)
        # What was sent before it has been carried out.
        assert store.waits_of([change.run_id]) == {}
        reached.set()
        assert go.wait(PATIENCE)

    store.announce = hold  # type: ignore[method-assign]
    thread = Thread(target=store.write, args=(worker.pk, Batch(number, [change]), NOW))
    thread.start()
    assert reached.wait(PATIENCE)
    try:
        yield go
    finally:
        go.set()
        thread.join(PATIENCE)


def test_an_interest_counts_for_all_that_is_not_over_when_it_is_taken_note_of(
    workspace: Workspace, agent: Agent, subscribe: Subscribe, store: Store, worker: Worker
) -> None:
    if connection.vendor == "sqlite":
        # One writes at a time there.
        return
    run, second = running(workspace, worker), running(workspace, worker)
    done = Flag()

    def become_interested() -> None:
        try:
            subscribe(pattern="run.failed")
            done.set()
        finally:
            connections.close_all()

    rival = Thread(target=become_interested)
    with held_before_commit(store, worker, ending(run, FAILED)) as go:
        rival.start()
        wait_for(_somebody_waits)
        # It is there, and not yet promised: a run has looked before it, and ends after it.
        assert Subscription.objects.exists()
        assert not done.is_set()
        # Who ends a run now does not wait for that, and does not rely on a look.
        meanwhile = make_run(workspace)
        control.cancel(meanwhile.pk, by="tester")
        go.set()
        rival.join(PATIENCE)
    assert done.is_set()
    assert Run.objects.get(pk=run.pk).status == "failed"
    with held_before_commit(store, worker, ending(second, FAILED), number=2):
        pass
    ends = [(event.name, event.cause_id) for event in told()]
    assert ends == [("run.cancelled", meanwhile.pk), ("run.failed", second.pk)]


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(cursor.fetchone()[0])


# -- nobody else makes them ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "run.failed"}, "name"),
        ({"name": "approval.decided"}, "name"),
        ({"name": "order.paid", "source": "agentsite"}, "source"),
        ([{"name": "order.paid"}, {"name": "run.x"}], "1.name"),
    ],
)
def test_who_passes_for_us_is_refused(api: Client, body: Any, field: str) -> None:
    answer = api.post("/api/v1/events", data=body, content_type="application/json")
    assert answer.status_code == 400, answer.content
    assert field in answer.json()["errors"]
    assert not Event.objects.exists()


def test_a_signal_may_have_any_name(workspace: Workspace) -> None:
    assert send_signal(make_run(workspace), "approval.given").is_new
