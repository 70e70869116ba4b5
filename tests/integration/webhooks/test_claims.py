"""Who sends an outgoing webhook: one worker each, endpoints apart, those of a dead worker anew. Faults E 29."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from agents.engine.database_clock import database_now
from agents.models import DeliveryStatus, WebhookAttempt, WebhookEndpoint, Workspace
from agents.triggers.delivering import Deliverer
from agents.triggers.outbox import AT_ONCE_EACH, LEASE, Claimed, claim_due, record_attempt
from agents.triggers.retrying import Answer
from tests.outbox import happen, make_endpoint, states
from tests.receiver import Receiver, Reply

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.fault(29)
def test_a_crash_between_claim_and_record_sends_again_when_the_claim_is_over(home: Workspace, shop: Receiver) -> None:
    make_endpoint(home, shop.url())
    happen(home, "1")
    now = database_now()
    (lost,) = claim_due({}, 10, now=now)  # … and its worker is killed, before or after it has sent it.
    assert claim_due({}, 10, now=now + LEASE - timedelta(seconds=1)) == []
    (again,) = claim_due({}, 10, now=now + LEASE)
    assert (again.message_id, again.body) == (lost.message_id, lost.body)
    # The first one was only slow: what it records is in the log and changes nothing.
    record_attempt(lost, Answer(500), text="", began=now, seconds=1, now=now, chance=0)
    assert states() == [("1", "pending", 0)]
    record_attempt(again, Answer(200), text="", began=now, seconds=1, now=now, chance=0)
    assert states() == [("1", "delivered", 1)]
    assert WebhookAttempt.objects.count() == 2


def test_many_workers_send_each_once(home: Workspace, shop: Receiver) -> None:
    for number in range(5):
        make_endpoint(home, shop.url(f"/{number}"))
    happen(home, *map(str, range(20)))

    async def together() -> None:
        deliverers = [Deliverer() for _ in range(4)]
        try:
            while any(await asyncio.gather(*(one.send_due() for one in deliverers))):
                await asyncio.gather(*(one.settle() for one in deliverers))
        finally:
            for one in deliverers:
                await one.aclose()

    asyncio.run(together())
    assert len(shop.ids()) == len(set(shop.ids())) == 100
    assert {state[1] for state in states()} == {"delivered"}


@pytest.mark.fault(29)
def test_a_slow_endpoint_delays_no_other(home: Workspace, shop: Receiver) -> None:
    shop.rules["/slow"] = Reply(hold=True)
    make_endpoint(home, shop.url("/slow"), events=["slow"])
    quick = make_endpoint(home, shop.url("/quick"), events=["quick"])
    happen(home, *map(str, range(30)), name="slow")
    happen(home, *(f"quick {number}" for number in range(20)), name="quick")

    async def once() -> None:
        deliverer = Deliverer()
        running = asyncio.create_task(deliverer.run())
        try:
            async with asyncio.timeout(20):
                while await asyncio.to_thread(_count_closing, quick) < 20:
                    await asyncio.sleep(0.01)
        finally:
            running.cancel()
            await deliverer.aclose()

    asyncio.run(once())
    assert len(shop.ids("/slow")) == AT_ONCE_EACH


def _count_closing(endpoint: WebhookEndpoint) -> int:
    from django.db import connection

    try:
        return endpoint.deliveries.filter(status=DeliveryStatus.DELIVERED).count()
    finally:
        connection.close()


def test_no_endpoint_takes_anothers_places(home: Workspace, shop: Receiver) -> None:
    one = make_endpoint(home, shop.url("/a"), events=["a"])
    two = make_endpoint(home, shop.url("/b"), events=["b"])
    happen(home, *map(str, range(10)), name="a")
    happen(home, "later", name="b")

    def by_endpoint(claimed: list[Claimed]) -> list[int]:
        return [sum(each.endpoint_id == endpoint.pk for each in claimed) for endpoint in (one, two)]

    now = database_now()
    assert by_endpoint(claim_due({}, 100, now=now)) == [AT_ONCE_EACH, 1]
    assert claim_due({one.pk: AT_ONCE_EACH}, 100, now=now) == []
    assert by_endpoint(claim_due({one.pk: AT_ONCE_EACH - 1}, 100, now=now)) == [1, 0]
    assert by_endpoint(claim_due({}, 2, now=now)) == [2, 0]
