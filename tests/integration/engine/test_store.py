"""What one batch of the journal writes, and whom it refuses, on the real tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from agents.engine.journal.store import Store, Unavailable, Unwritable
from agents.engine.records import (
    Batch,
    ChildRecord,
    ClaimRequest,
    Committed,
    EventRecord,
    Finish,
    LargeRecord,
    MessageRecord,
    Park,
    Refused,
    Release,
    Target,
    WaitRecord,
)
from agents.models import Inbox, LargeOutcome, Run, Step, Wait, Workspace
from tests.batches import NOW, Writer, change, child_of, done, event, step
from tests.driving import kinds, steps_of
from tests.factories import make_run, make_worker


def test_writes_steps_events_and_totals(writer: Writer, run: Run) -> None:
    first = done("a#0", '{"x":[1,"é"]}', input="[1]", input_tokens=3, output_tokens=4, cost_microusd=5)
    assert writer.write(change(run, steps={"a#0": first}, events=[event("one"), event("two")])) == [Committed(0, "")]
    running = step("b#0")
    writer.write(change(run, steps={"b#0": running}, events=[event("three")]))
    running.is_stored = True
    later = running.follow(status="succeeded", outcome="2", finished_at=NOW, attempt=2, attempts="[]")
    later.settle_storage()
    writer.write(change(run, steps={"b#0": later}))
    run.refresh_from_db()
    assert (run.steps_done, run.input_tokens, run.output_tokens, run.cost_microusd) == (2, 3, 4, 5)
    assert kinds(run.pk) == ["one", "two", "three"]
    steps = steps_of(run.pk)
    assert steps["a#0"].outcome == {"x": [1, "é"]}
    assert steps["a#0"].input == [1]
    assert (steps["b#0"].status, steps["b#0"].attempt, steps["b#0"].outcome) == ("succeeded", 2, 2)
    assert Step.objects.count() == 2


def test_reads_back_what_it_wrote(writer: Writer, store: Store, run: Run) -> None:
    large = LargeRecord(uuid7(), b"\x00compressed")
    records = {
        "a#0": done("a#0", "[1]", label="think", effect="unsafe", digest="d" * 32, input="1", attempts="[]"),
        "b#0": step("b#0", input='{"kept":1}'),
        "c#0": step("c#0", status="succeeded", large=large.id, finished_at=NOW),
    }
    writer.write(change(run, steps=records, larges=[large]))
    history = store.histories([run.pk])[run.pk]
    for key, record in records.items():
        # The input of a step that is done is never needed again and not loaded.
        expected = replace(record, is_stored=True, input=None if record.is_done else record.input)
        assert history.steps[key] == expected
    assert store.large(large.id) == b"\x00compressed"


@pytest.mark.parametrize(
    "changes",
    [{"epoch": 2}, {"status": "queued", "worker": None}, {"worker": "other"}],
    ids=["epoch", "queued", "other"],
)
def test_a_lost_lease_writes_nothing(writer: Writer, store: Store, run: Run, changes: dict[str, Any]) -> None:
    other = make_run(run.workspace, status="running", worker=writer.worker, epoch=1)
    stale = change(run, Finish("succeeded", output="1"), steps={"a#0": done("a#0")}, events=[event("one")])
    stale.larges.append(LargeRecord(uuid7(), b"x"))
    stale.children.append(ChildRecord(uuid7(), Target("x"), "call:x#0", "1", 0, NOW))
    if changes.get("worker") == "other":
        changes = {"worker": make_worker()}
    Run.objects.filter(pk=run.pk).update(**changes)
    before = Run.objects.filter(pk=run.pk).values().get()
    answers = writer.write(stale, change(other, events=[event("fine")]))
    assert answers == [Refused(), Committed(0, "")]
    assert Run.objects.filter(pk=run.pk).values().get() == before
    assert not Step.objects.exists()
    assert not LargeOutcome.objects.exists()
    assert kinds(run.pk) == []
    assert Run.objects.count() == 2
    assert kinds(other.pk) == ["fine"]


def test_parks_with_its_waits_unless_somebody_spoke(writer: Writer, run: Run) -> None:
    waits = (
        WaitRecord("timer", "s#0", "timer", NOW + timedelta(minutes=1)),
        WaitRecord("child", "gather#0/", needed=3),
    )
    Run.objects.filter(pk=run.pk).update(wakes=1)
    spoken = change(run, Park(waits, "waits", seen_wakes=0), events=[event("step_finished"), event("run_waiting")])
    assert writer.write(spoken) == [Committed(1, "", parked=False)]
    run.refresh_from_db()
    assert (run.status, Wait.objects.count()) == ("running", 0)
    assert kinds(run.pk) == ["step_finished"]
    assert writer.write(change(run, Park(waits, "waits", seen_wakes=1))) == [Committed(1, "", parked=True)]
    run.refresh_from_db()
    assert (run.status, run.reason, run.worker_id) == ("waiting", "waits", None)
    stored = Wait.objects.order_by("id").values_list("kind", "key", "due_at", "needed")
    assert list(stored) == [("timer", "s#0", NOW + timedelta(minutes=1), 1), ("child", "gather#0/", None, 3)]


def test_the_first_end_wins(writer: Writer, run: Run) -> None:
    end = change(run, Finish("succeeded", output='{"n":1}'), events=[event("run_succeeded")])
    assert writer.write(end) == [Committed(0, "")]
    assert writer.write(change(run, Finish("failed", error='{"type":"x"}'))) == [Refused()]
    run.refresh_from_db()
    assert (run.status, run.output, run.error, run.finished_at) == ("succeeded", {"n": 1}, None, NOW)


def test_queues_children_in_order_unless_cancelled(writer: Writer, run: Run) -> None:
    children = [ChildRecord(uuid7(), Target("child"), f"call:c#{n}", f'{{"n":{n}}}', n % 2, NOW) for n in range(3)]
    steps = {child.parent_key: step(child.parent_key, kind="call") for child in children}
    writer.write(change(run, children=children[:2], steps={key: steps[key] for key in list(steps)[:2]}))
    first, second = (Run.objects.get(pk=child.id) for child in children[:2])
    assert (first.status, first.input, first.parent_id, first.root_id, first.depth) == (
        "queued",
        {"n": 0},
        run.pk,
        run.pk,
        1,
    )
    assert second.rank < first.rank  # its priority is higher
    assert kinds(first.pk) == ["run_queued"]
    Run.objects.filter(pk=run.pk).update(wanted="cancel")
    refused = change(run, children=children[2:], steps={"call:c#2": steps["call:c#2"]}, events=[event("step_started")])
    assert writer.write(refused) == [Committed(0, "cancel")]
    assert not Run.objects.filter(pk=children[2].id).exists()
    assert "call:c#2" not in steps_of(run.pk)


def test_a_join_wakes_its_parent_once(writer: Writer, workspace: Workspace) -> None:
    parent = make_run(workspace, status="waiting", epoch=1)
    Wait.objects.create(run=parent, kind="child", key="gather#0/", needed=3)
    children = [child_of(parent, f"gather#0/{n}/call:c#0") for n in range(3)]
    Run.objects.filter(pk__in=[c.pk for c in children]).update(worker=writer.worker)
    writer.write(change(children[0], Finish("succeeded", output="0")))
    parent.refresh_from_db()
    assert (parent.status, parent.wakes, Wait.objects.get().needed) == ("waiting", 1, 2)
    writer.write(*(change(child, Finish("failed", error='{"type":"x","message":"y"}')) for child in children[1:]))
    parent.refresh_from_db()
    assert (parent.status, parent.wakes) == ("queued", 2)
    assert not Wait.objects.exists()
    messages = Inbox.objects.filter(run=parent).order_by("id")
    assert [m.name for m in messages] == [child.parent_key for child in children]
    assert [m.data["status"] for m in messages] == ["succeeded", "failed", "failed"]


def test_the_sub_runs_of_a_gather_within_a_branch_do_not_count_for_the_outer_join(
    writer: Writer, workspace: Workspace
) -> None:
    parent = make_run(workspace, status="waiting", epoch=1)
    outer = Wait.objects.create(run=parent, kind="child", key="gather#0/", needed=1)
    inner = Wait.objects.create(run=parent, kind="child", key="gather#0/1/gather#0/", needed=2)
    child = child_of(parent, "gather#0/1/gather#0/0/call:c#0")
    Run.objects.filter(pk=child.pk).update(worker=writer.worker)
    writer.write(change(child, Finish("succeeded", output="0")))
    parent.refresh_from_db()
    assert parent.status == "waiting"
    assert set(Wait.objects.values_list("key", "needed")) == {(outer.key, 1), (inner.key, 1)}


def test_a_paused_parent_is_told_but_not_woken(writer: Writer, workspace: Workspace) -> None:
    parent = make_run(workspace, status="waiting", epoch=1)
    Wait.objects.create(run=parent, kind="child", key="call:c#0")
    Wait.objects.create(run=parent, kind="paused")
    child = child_of(parent, "call:c#0")
    Run.objects.filter(pk=child.pk).update(worker=writer.worker)
    writer.write(change(child, Finish("succeeded", output="0")))
    parent.refresh_from_db()
    assert (parent.status, parent.wakes) == ("waiting", 1)
    assert sorted(Wait.objects.values_list("kind", "needed")) == [("child", 0), ("paused", 1)]


def test_a_parent_that_parks_in_the_same_batch_learns_of_its_child(writer: Writer, run: Run) -> None:
    child = child_of(run, "call:c#0")
    park = Park((WaitRecord("child", "call:c#0"),), "waits", seen_wakes=0)
    for order in (0, 1):
        Run.objects.filter(pk=child.pk).update(status="running", worker=writer.worker, finished_at=None)
        Run.objects.filter(pk=run.pk).update(wakes=0)
        changes = [change(run, park), change(child, Finish("succeeded", output="0"))]
        answers = writer.write(*(changes if order else reversed(changes)))
        assert Committed(1, "", parked=False) in answers
        run.refresh_from_db()
        assert run.status == "running"


def test_messages_are_read_in_order_and_consumed_once(writer: Writer, store: Store, run: Run) -> None:
    with store.transaction():
        messages = [MessageRecord(run.pk, "a", token, f'"{token}"') for token in ("one", "two", "one")]
        store.insert_messages(messages, NOW)
    read = store.messages(run.pk).messages
    assert [(message.token, message.data) for message in read] == [("one", '"one"'), ("two", '"two"')]
    writer.write(change(run, consumed=[read[0].id]))
    assert [message.token for message in store.messages(run.pk).messages] == ["two"]
    with store.transaction():
        store.insert_messages([MessageRecord(run.pk, "a", "one", "1")], NOW)
    assert [message.token for message in store.histories([run.pk])[run.pk].messages] == ["two"]


def test_a_superseded_step_makes_room_and_stays(writer: Writer, run: Run) -> None:
    writer.write(change(run, steps={"a#0": done("a#0", "1"), "b#0": done("b#0", "1")}))
    writer.write(change(run, superseded=["a#0"], steps={"a#0": done("a#0", "2")}))
    assert {key: one.outcome for key, one in steps_of(run.pk).items()} == {"a#0": 2, "b#0": 1}
    assert [one.outcome for one in Step.objects.filter(superseded=True)] == [1]


def test_gives_a_run_back(writer: Writer, run: Run) -> None:
    writer.write(change(run, Release("worker stopped"), events=[event("run_queued")]))
    run.refresh_from_db()
    assert (run.status, run.worker_id, run.epoch, run.reason) == ("queued", None, 1, "worker stopped")


def test_claims_the_lowest_ranks_with_a_new_epoch(writer: Writer, workspace: Workspace) -> None:
    runs = [make_run(workspace, status="queued", rank=rank) for rank in (30, 10, 20)]
    claimed = writer.batch(claim=ClaimRequest(2)).claimed
    assert [(run.id, run.epoch) for run in claimed] == [(runs[1].pk, 1), (runs[2].pk, 1)]
    assert [run.id for run in writer.batch(claim=ClaimRequest(5)).claimed] == [runs[0].pk]
    assert Run.objects.filter(status="running", worker=writer.worker, epoch=1).count() == 3
    assert writer.batch(claim=ClaimRequest(5)).claimed == []


def test_a_batch_that_stands_is_refused_a_second_time(writer: Writer, store: Store, run: Run) -> None:
    writer.write(change(run, events=[event("one")]))
    assert store.last_batch(writer.worker.pk) == 1
    again = Batch(1, [change(run, events=[event("one")])])
    with pytest.raises(Unavailable):
        store.write(writer.worker.pk, again, NOW)
    assert kinds(run.pk) == ["one"]


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": {"a#0": step("a#0", status="nonsense")}},
        {"steps": {"a#0": step("a#0", name="\ud800")}},
        {"steps": {"a#0": step("a#0", input_tokens=2**70)}},
        {"events": [EventRecord("x", NOW, "\ud800")]},
    ],
    ids=["check", "surrogate", "overflow", "event"],
)
def test_a_value_that_can_not_be_stored_is_named_so(
    writer: Writer, store: Store, run: Run, bad: dict[str, Any]
) -> None:
    with pytest.raises(Unwritable):
        writer.write(change(run, Finish("succeeded", output="1"), **bad))
    run.refresh_from_db()
    assert run.status == "running"
    assert not Step.objects.exists()
    # The connection is of use again.
    assert writer.write(change(run, events=[event("one")])) == [Committed(0, "")]


def test_a_claim_where_nothing_is_due_writes_nothing(writer: Writer, store: Store, run: Run) -> None:
    result = writer.batch(claim=ClaimRequest(5))
    assert (result.answers, result.claimed) == ([], [])
    assert store.last_batch(writer.worker.pk) == 0
