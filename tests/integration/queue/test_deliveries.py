"""Ordinary tasks: each delivery counts, what can't be done is set aside, what the dead held comes back."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from agents.engine.leases import process_start
from agents.models import Delivery
from agents.queue import deliveries
from agents.queue.broker import RunBroker

pytestmark = pytest.mark.django_db
GONE = 4_000_000


@pytest.fixture
def holder() -> str:
    return deliveries.holder_name(os.getpid(), process_start(os.getpid()))


def put(function: str = "agents.queue.tasks.poke", payload: str = "", **fields: Any) -> int:
    task = {"id": "1", "name": "a task", "func": function, "args": (), "kwargs": {}, "started": timezone.now()}
    row = OrmQ.objects.create(
        **{"key": "tools", "payload": payload or SignedPackage.dumps(task), "lock": timezone.now(), **fields}
    )
    return int(row.pk)


def fetched(holder: str) -> list[int]:
    return [message for message, _ in deliveries.fetch("tools", holder)]


def make_due(message: int) -> None:
    OrmQ.objects.filter(pk=message).update(lock=timezone.now() - timedelta(seconds=1))


def test_a_task_is_handed_out_once_and_forgotten_when_done(holder: str) -> None:
    message = put()
    later = put(lock=timezone.now() + timedelta(hours=1))
    foreign = put(key="runs")
    assert fetched(holder) == [message]
    assert fetched(holder) == []
    assert Delivery.objects.get().count == 1
    RunBroker("tools").acknowledge(message)
    assert not Delivery.objects.exists()
    assert set(OrmQ.objects.values_list("pk", flat=True)) == {later, foreign}


def test_the_fourth_delivery_sets_a_task_aside(holder: str) -> None:
    message = put()
    for _ in range(deliveries.MAX_DELIVERIES):
        assert fetched(holder) == [message]
        deliveries.give_back((message,))
    good = put()
    assert fetched(holder) + fetched(holder) == [good]
    aside = Delivery.objects.get(message=None)
    assert "its worker died" in aside.reason
    assert aside.name == "agents.queue.tasks.poke"
    assert set(OrmQ.objects.values_list("pk", flat=True)) == {good}
    deliveries.put_back(aside)
    assert len(fetched(holder)) == 1


class Vanishing:
    """A class that is gone when its pickle is read."""


@pytest.mark.fault(21)
@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("damaged", "BadSignature"),
        (SignedPackage.dumps([1, 2]), "TypeError"),
        (SignedPackage.dumps({"no": "function"}), "KeyError"),
    ],
    # A signature names its second: test processes that begin in different ones would have tests of different names.
    ids=["damaged", "no task", "no function"],
)
def test_an_unreadable_message_is_set_aside_and_others_flow(holder: str, payload: str, reason: str) -> None:
    put(payload=payload, lock=timezone.now() - timedelta(seconds=5))
    good = put()
    assert fetched(holder) + fetched(holder) == [good]
    assert reason in Delivery.objects.get(message=None).reason


@pytest.mark.fault(21)
def test_a_message_whose_class_or_function_is_gone_is_set_aside(holder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = {"id": "1", "name": "a task", "func": "agents.queue.tasks.poke", "args": (Vanishing(),), "kwargs": {}}
    put(payload=SignedPackage.dumps(task))
    put("agents.queue.tasks.never_was")
    monkeypatch.delattr(f"{__name__}.Vanishing")
    assert fetched(holder) + fetched(holder) == []
    reasons = sorted(Delivery.objects.values_list("reason", flat=True))
    assert "AttributeError" in reasons[0] or "PicklingError" in reasons[0]
    assert "never_was is not there" in reasons[1]


def test_what_a_vanished_cluster_held_comes_back_and_counts(holder: str) -> None:
    kept, lost = put(), put()
    assert fetched(holder) + fetched(holder) == [kept, lost]
    Delivery.objects.filter(message=lost).update(holder=deliveries.holder_name(GONE, 1))
    deliveries.give_back_of_the_gone("tools")
    assert fetched(holder) == [lost]
    assert Delivery.objects.get(message=lost).count == 2


def test_what_a_stopped_cluster_held_comes_back_and_does_not_count(holder: str) -> None:
    message = put()
    for _ in range(10):
        assert fetched(holder) == [message]
        deliveries.give_back_of(holder)
    assert Delivery.objects.get().count == 0
