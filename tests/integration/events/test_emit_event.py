"""Telling of events: checked, kept once by their source's name for them, seen when the caller's transaction commits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection, transaction

from agents.models import Event
from agents.services.errors import InvalidInput
from agents.services.events import MAX_AT_ONCE, MAX_DATA, NewEvent, emit_event, emit_events
from tests.driving import wait_for
from tests.factories import make_run, make_workspace

pytestmark = pytest.mark.django_db


def test_an_event_is_kept_as_it_was_told() -> None:
    workspace, occurred = make_workspace(), datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    run = make_run(workspace)
    data = {"order": 17, "lines": ["a", 2.5, None]}

    event = emit_event(
        workspace, "order.paid", data, source="shop", event_id="e1", occurred_at=occurred, tainted=True, to_run=run
    )

    kept = Event.objects.get(pk=event.pk)
    assert (kept.name, kept.data, kept.source, kept.event_id) == ("order.paid", data, "shop", "e1")
    assert (kept.occurred_at, kept.tainted, kept.to_run_id, kept.dispatched_at) == (occurred, True, run.pk, None)
    assert event.is_new
    assert event.received_at == kept.received_at


def test_the_same_id_of_the_same_source_is_the_same_event() -> None:
    workspace, other = make_workspace(), make_workspace()
    first = emit_event(workspace, "order.paid", {"n": 1}, source="shop", event_id="e1")

    again = emit_event(workspace, "order.paid", {"n": 2}, source="shop", event_id="e1")

    assert (again.pk, again.data, again.is_new) == (first.pk, {"n": 1}, False)
    for apart in (
        emit_event(workspace, "order.paid", source="till", event_id="e1"),
        emit_event(other, "order.paid", source="shop", event_id="e1"),
        emit_event(workspace, "order.paid", source="shop"),
        emit_event(workspace, "order.paid", source="shop"),
    ):
        assert apart.is_new
        assert apart.pk != first.pk


def test_many_events_are_told_of_at_once_each_once() -> None:
    workspace = make_workspace()
    first = emit_event(workspace, "a", source="s", event_id="1")
    told = [NewEvent(name="a", source="s", event_id=id) for id in ("1", "2", "2", "3")] + [NewEvent(name="b")]

    events = emit_events(workspace, told)

    assert [event.is_new for event in events] == [False, True, True, True, True]
    assert events[0].pk == first.pk
    assert events[1] is events[2]
    assert [event.name for event in Event.objects.order_by("pk")] == ["a", "a", "a", "b"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "has space"}, "name"),
        ({"name": "a.*"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "nul\x00"}, "name"),
        ({"name": ".".join("x" * 21)}, "name"),
        ({"name": "a", "source": "x" * 201}, "source"),
        ({"name": "a", "source": "\x00"}, "source"),
        ({"name": "a", "event_id": "\ud800"}, "id"),
        ({"name": "a", "data": "x" * MAX_DATA}, "data"),
        ({"name": "a", "data": object()}, "data"),
    ],
)
def test_what_is_no_event_is_refused_by_its_field(wrong: dict[str, Any], field: str) -> None:
    workspace = make_workspace()

    with pytest.raises(InvalidInput) as alone:
        emit_events(workspace, [NewEvent(**wrong)])
    with pytest.raises(InvalidInput) as among_others:
        emit_events(workspace, [NewEvent(name="good"), NewEvent(**wrong)])

    assert (alone.value.field, among_others.value.field) == (field, f"1.{field}")
    assert not Event.objects.exists()


def test_too_many_at_once_are_refused() -> None:
    with pytest.raises(InvalidInput, match="1,000"):
        emit_events(make_workspace(), [NewEvent(name="a")] * (MAX_AT_ONCE + 1))


@pytest.mark.django_db(transaction=True)
def test_two_who_tell_of_the_same_event_at_once_tell_of_one() -> None:
    workspace = make_workspace()
    together, told = Barrier(2), []

    def tell() -> None:
        try:
            together.wait(10)
            with transaction.atomic():
                told.append(emit_event(workspace, "a", source="s", event_id="1"))
            with transaction.atomic():
                told.extend(emit_events(workspace, [NewEvent(name="a", source="s", event_id=str(n)) for n in range(9)]))
        finally:
            connection.close()

    _in_threads(tell)

    assert len(told) == 20
    assert Event.objects.count() == 9
    assert sum(event.is_new for event in told) == 9


@pytest.mark.django_db(transaction=True)
def test_who_tells_of_the_same_events_in_another_order_waits_for_its_turn_and_not_for_a_row() -> None:
    if connection.vendor == "sqlite":
        # One writes at a time there.
        return
    workspace, told = make_workspace(), []
    here, there = ([NewEvent(name="a", source="s", event_id=id) for id in ids] for ids in ("12", "21"))

    def tell() -> None:
        try:
            with transaction.atomic():
                told.extend(emit_events(workspace, there))
        finally:
            connection.close()

    other = Thread(target=tell)
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
    with transaction.atomic(), connection.cursor() as cursor:
        emit_events(workspace, here)
        other.start()
        wait_for(lambda: cursor.execute(waiting) and cursor.fetchone() != (0,), "the other to wait", 10)
    other.join(10)
    assert [event.event_id for event in told] == ["2", "1"]
    assert not any(event.is_new for event in told)
    assert Event.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_an_event_is_not_there_if_its_transaction_fails() -> None:
    workspace = make_workspace()

    with transaction.atomic():
        emit_event(workspace, "a")
        transaction.set_rollback(True)

    assert not Event.objects.exists()


def _in_threads(work: Callable[[], None]) -> None:
    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
