"""Stops on the way from an event to its delivery, for a test that kills the worker at each: loaded as WORKFLOW_MODULES.

An event named `stop.<place>` holds the first worker process that comes to that place.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from agents.services import dispatching
from agents.triggers import delivering, outbox
from tests.stops import around, hold

PLACES = ("dispatching", "dispatched", "claimed", "sent", "recording", "recorded")
LEASE = timedelta(seconds=2)

_dispatched: list[str] = []


def names_of(claimed: Iterable[outbox.Claimed]) -> list[str]:
    return [place for one in claimed for place in (f"stop.{name}" for name in PLACES) if place.encode() in one.body]


def _after_enqueue(_result: Any, events: Any, **_: Any) -> None:
    names = [event.name for event in events]
    _dispatched.extend(names)
    hold("dispatching", names)


def _install() -> None:
    outbox.LEASE = LEASE  # type: ignore[misc]  # one that is over while the test waits
    around(dispatching, "enqueue_deliveries", _after_enqueue)
    around(dispatching, "_dispatch_some", lambda *_: hold("dispatched", _dispatched))
    around(delivering, "claim_due", lambda result, *_, **__: hold("claimed", names_of(result)))
    around(outbox, "_settle", lambda _result, mine, *_: hold("recording", [mine.event_name]))
    around(delivering, "record_attempt", lambda _result, claimed, *_, **__: hold("recorded", names_of([claimed])))
    send = delivering.send

    async def send_and_hold(claimed: outbox.Claimed) -> Any:
        result = await send(claimed)
        hold("sent", names_of([claimed]))
        return result

    delivering.send = send_and_hold


_install()
