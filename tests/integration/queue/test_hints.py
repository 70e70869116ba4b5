"""Hints: a worker's main loop, which makes a task of each message, never sees them."""

from __future__ import annotations

from typing import Any, cast

import pytest
from django_q.signing import SignedPackage

from agents.queue import worker_process
from agents.queue.broker import HINT
from agents.queue.channel import STOP, Channel
from agents.queue.messages import hint
from agents.queue.processes import Inbox
from agents.queue.pulse import TaskTimer


class Messages:
    """The task queue, with what the pusher has put into it."""

    def __init__(self, *messages: object) -> None:
        self._left = list(messages)

    def get(self) -> object:
        return self._left.pop(0)


def test_a_worker_heeds_hints_and_hands_on_what_has_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    pokes: list[None] = []
    monkeypatch.setattr(worker_process, "poke", lambda: pokes.append(None))
    task: dict[str, Any] = SignedPackage.loads(hint())
    pushed = [{**task, "ack_id": ack_id} for ack_id in (HINT, HINT, 7, HINT)]
    timer = TaskTimer()
    inbox = Inbox(cast(Channel, Messages(*pushed, STOP)), timer)

    assert inbox.get()["ack_id"] == 7
    assert (len(pokes), timer.message) == (2, 7)
    assert inbox.get() == STOP
    assert (len(pokes), timer.message) == (3, 0)
