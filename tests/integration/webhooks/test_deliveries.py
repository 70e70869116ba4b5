"""Outgoing webhooks: from the outbox to a real receiver, on both databases. Faults E 29."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.db import transaction
from standardwebhooks.webhooks import Webhook

from agents.engine.database_clock import database_now
from agents.models import (
    DeliveryStatus,
    Event,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    Workspace,
)
from agents.services.events import emit_event
from agents.triggers import delivering
from agents.triggers.delivering import Deliverer
from agents.triggers.outbox import (
    AT_ONCE_EACH,
    KEPT_FOR,
    LEASE,
    Claimed,
    claim_due,
    enqueue_deliveries,
    forget,
    make_pending,
    record_attempt,
    secret_place,
)
from agents.triggers.retrying import ATTEMPTS, Answer
from tests.factories import make_run, make_workspace
from tests.receiver import Receiver, Reply, receiver
from tools.secrets import seal

pytestmark = pytest.mark.django_db(transaction=True)

KEY, OTHER = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"a", b"b"))
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def shop() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def home(settings: Any) -> Workspace:
    settings.ALLOWED_NETWORKS = ["127.0.0.0/8"]
    return make_workspace("home")


def make_endpoint(workspace: Workspace, url: str, **overrides: Any) -> WebhookEndpoint:
    made = WebhookEndpoint(
        workspace=workspace, url=url, **{"name": f"e{WebhookEndpoint.objects.count()}", "events": ["*"], **overrides}
    )
    made.secret = seal(workspace.pk, secret_place(made.pk), KEY)
    made.save()
    return made


def happen(workspace: Workspace, *ids: str, name: str = "order.paid", data: Any = None) -> int:
    """Tell of events and dispatch them."""
    with transaction.atomic():
        events = [
            emit_event(workspace, name, data or {"id": id}, source="s", event_id=id, occurred_at=AT) for id in ids
        ]
        return enqueue_deliveries(events, now=database_now())


def deliver(rounds: int = 1, until: Callable[[], bool] = lambda: True) -> None:
    """Send what is due, so many times, as a worker does."""

    async def once() -> None:
        deliverer = Deliverer()
        try:
            for _ in range(rounds):
                while await deliverer.send_due():
                    pass
                await deliverer.settle()
        finally:
            await deliverer.aclose()

    asyncio.run(once())
    assert until()


def come_due() -> None:
    """Let the time of all pending ones come."""
    WebhookDelivery.objects.filter(status="pending").update(due_at=database_now())


def states() -> list[tuple[str, str, int]]:
    return list(WebhookDelivery.objects.order_by("event_id").values_list("event__event_id", "status", "attempts"))


def test_an_event_reaches_its_receiver_signed(home: Workspace, shop: Receiver) -> None:
    endpoint = make_endpoint(home, shop.url("/hook?x=1"))
    happen(home, "1")
    deliver()
    (got,) = shop.received
    assert got.path == "/hook?x=1"
    assert Webhook(KEY).verify(got.body, got.headers) == {
        "type": "order.paid",
        "timestamp": "2026-03-01T12:00:00Z",
        "data": {"id": "1"},
    }
    assert got.headers["content-type"] == "application/json"
    assert got.headers["user-agent"].startswith("agentsite/")
    (sent,) = endpoint.deliveries.all()
    assert (sent.status, sent.reason, got.headers["webhook-id"]) == ("delivered", "Answered 200.", sent.message_id)
    (attempt,) = sent.tries.all()
    assert (attempt.status, attempt.answer, attempt.error) == (200, "ok", "")
    deliver()
    assert len(shop.received) == 1


def test_endpoints_get_what_they_want_once(home: Workspace, shop: Receiver) -> None:
    for name, events in {"all": ["*"], "orders": ["order.*", "order.paid"], "paid": ["order.paid"]}.items():
        make_endpoint(home, shop.url(), name=name, events=events)
    make_endpoint(home, shop.url(), name="large", filter={"path": "total", "gte": 100})
    make_endpoint(home, shop.url(), name="off", disabled="by hand")
    make_endpoint(make_workspace(), shop.url(), name="stranger")
    happen(home, "1", name="order.created", data={"total": 99})
    happen(home, "2", data={"total": 100})
    happen(home, "2", data={"total": 100})
    happen(home, "3", name="ordering", data={"total": True})
    found = WebhookDelivery.objects.order_by("event_id", "endpoint__name").values_list(
        "event__event_id", "endpoint__name"
    )
    assert list(found) == [
        *(("1", "all"), ("1", "orders")),
        *(("2", "all"), ("2", "large"), ("2", "orders"), ("2", "paid")),
        ("3", "all"),
    ]


def test_signals_and_replays_of_events_are_not_sent(home: Workspace, shop: Receiver) -> None:
    make_endpoint(home, shop.url())
    run = make_run(home)
    first = emit_event(home, "order.paid")
    signal = emit_event(home, "order.paid", to_run=run)
    again = Event.objects.create(workspace=home, name="order.paid", replay_of=first)
    again.refresh_from_db()
    with transaction.atomic():
        assert enqueue_deliveries([signal, again], now=database_now()) == 0
    assert states() == []


def test_the_outbox_is_written_with_the_event_or_not_at_all(home: Workspace, shop: Receiver) -> None:
    make_endpoint(home, shop.url())

    def change() -> None:
        with transaction.atomic():
            happen(home, "1")
            raise RuntimeError("the change is undone")

    with pytest.raises(RuntimeError):
        change()
    assert states() == []


@pytest.mark.fault(29)
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(500, b"oh"), "Answered 500; it is tried again."),
        (Reply(404), "Answered 404; it is tried again."),
        (Reply(302, headers={"Location": "/elsewhere"}), "Answered 302, a redirect, which is not followed;"),
        (Reply(307, headers={"Location": "http://169.254.169.254/"}), "Answered 307, a redirect, which is not"),
        (Reply(200, hold=True), "127.0.0.1 did not answer within 0.2 s; it is tried again."),
    ],
)
def test_a_receiver_that_fails_is_tried_again_under_the_same_id(
    home: Workspace, shop: Receiver, reply: Reply, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "TIMEOUT", 0.2)
    shop.scripts["/"].append(reply)
    endpoint = make_endpoint(home, shop.url())
    happen(home, "1")
    deliver()
    (waiting,) = endpoint.deliveries.all()
    assert waiting.reason.startswith(reason)
    assert (waiting.status, waiting.attempts, waiting.claim) == ("pending", 1, None)
    assert timedelta(seconds=3) < waiting.due_at - database_now() < timedelta(seconds=7)
    assert WebhookEndpoint.objects.exclude(failing_since=None).exists()
    deliver()
    assert len(shop.received) == 1
    come_due()
    monkeypatch.setattr(delivering, "TIMEOUT", 15)
    deliver()
    assert states() == [("1", "delivered", 2)]
    assert shop.ids() == [waiting.message_id] * 2
    assert {one.path for one in shop.received} == {"/"}
    assert WebhookEndpoint.objects.filter(failing_since=None).exists()
    assert list(WebhookAttempt.objects.values_list("status", flat=True)) == [None if reply.hold else reply.status, 200]


@pytest.mark.fault(29)
def test_a_receivers_wish_to_wait_is_heard(home: Workspace, shop: Receiver) -> None:
    shop.scripts["/"].append(Reply(429, headers={"Retry-After": "3600"}))
    make_endpoint(home, shop.url())
    happen(home, "1")
    deliver()
    waits = WebhookDelivery.objects.get().due_at - database_now()
    assert timedelta(minutes=59) < waits <= timedelta(hours=1)


@pytest.mark.fault(29)
def test_gone_disables_and_lists_all_that_waits_as_failed(home: Workspace, shop: Receiver) -> None:
    endpoint = make_endpoint(home, shop.url())
    shop.rules["/"] = Reply(410)
    happen(home, "1", "2")
    WebhookDelivery.objects.filter(event__event_id="2").update(due_at=database_now() + timedelta(hours=1))
    deliver()
    endpoint.refresh_from_db()
    assert endpoint.disabled.startswith("It answered 410")
    assert endpoint.disabled_at is not None
    assert [state[:2] for state in states()] == [("1", "failed"), ("2", "failed")]
    assert "disabled" in WebhookDelivery.objects.get(event__event_id="2").reason
    happen(home, "3")
    deliver()
    assert len(shop.received) == 1


@pytest.mark.fault(29)
def test_it_is_given_up_after_days_and_listed(home: Workspace, shop: Receiver) -> None:
    endpoint = make_endpoint(home, shop.url())
    happen(home, "1")
    now = database_now()
    for _ in range(ATTEMPTS):
        now += timedelta(hours=30)
        WebhookEndpoint.objects.update(failing_since=None)
        (claimed,) = claim_due({}, 10, now=now)
        record_attempt(claimed, Answer(500), text="", began=now, seconds=0.1, now=now, chance=0.5)
    assert claim_due({}, 10, now=now + timedelta(days=30)) == []
    (given_up,) = endpoint.deliveries.all()
    assert (given_up.status, given_up.reason) == ("failed", "Given up after 10: Answered 500.")
    assert make_pending(endpoint.deliveries.filter(status="failed"), now=database_now()) == 1
    deliver()
    assert states() == [("1", "delivered", 1)]


@pytest.mark.fault(29)
def test_an_endpoint_that_fails_for_days_is_disabled(home: Workspace, shop: Receiver) -> None:
    endpoint = make_endpoint(home, shop.url(), failing_since=database_now() - timedelta(days=6))
    shop.rules["/"] = Reply(503)
    happen(home, "1", "2")
    deliver()
    endpoint.refresh_from_db()
    assert endpoint.disabled == "For 5 days nothing arrived; at last: answered 503."
    assert {state[1] for state in states()} == {"failed"}


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


def test_during_a_rotation_either_key_fits(home: Workspace, shop: Receiver) -> None:
    endpoint = make_endpoint(home, shop.url())
    endpoint.previous_secret = seal(home.pk, secret_place(endpoint.pk, "previous_secret"), OTHER)
    endpoint.previous_until = database_now() + timedelta(hours=1)
    endpoint.save()
    happen(home, "1")
    deliver()
    for key in (KEY, OTHER):
        Webhook(key).verify(shop.received[0].body, shop.received[0].headers)
    WebhookEndpoint.objects.update(previous_until=database_now() - timedelta(seconds=1))
    happen(home, "2")
    deliver()
    assert " " not in shop.received[1].headers["webhook-signature"]


def test_private_networks_take_the_operators_leave(home: Workspace, shop: Receiver, settings: Any) -> None:
    settings.ALLOWED_NETWORKS = []
    make_endpoint(home, shop.url())
    happen(home, "1")
    deliver()
    assert shop.received == []
    assert "ALLOWED_NETWORKS" in WebhookDelivery.objects.get().reason


def test_the_first_kilobyte_of_an_answer_is_kept_and_no_secret(home: Workspace, shop: Receiver) -> None:
    shop.rules["/"] = Reply(200, b"key: " + KEY.encode() + b" \x00" + b"x" * 5000)
    make_endpoint(home, shop.url())
    happen(home, "1")
    deliver()
    kept = WebhookAttempt.objects.get().answer
    assert 900 < len(kept) <= 1024
    assert KEY not in kept


def test_a_secret_that_can_not_be_read_is_said(home: Workspace, shop: Receiver) -> None:
    endpoint = make_endpoint(home, shop.url())
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(secret="not sealed")
    happen(home, "1")
    deliver()
    assert "SECRETS_KEYS" in WebhookDelivery.objects.get().reason
    assert shop.received == []


def test_what_ended_long_ago_is_forgotten(home: Workspace, shop: Receiver) -> None:
    endpoint = make_endpoint(home, shop.url())
    happen(home, "old", "new", "waits")
    now = database_now()
    long_ago = now - KEPT_FOR - timedelta(hours=1)
    WebhookDelivery.objects.filter(event__event_id="old").update(status="failed", ended_at=long_ago)
    WebhookDelivery.objects.filter(event__event_id="new").update(status="failed", ended_at=now)
    WebhookAttempt.objects.create(delivery=WebhookDelivery.objects.get(event__event_id="old"), at=now, seconds=1)
    assert forget(now=now) == 1
    assert [state[0] for state in states()] == ["new", "waits"]
    WebhookEndpoint.objects.filter(pk=endpoint.pk)._raw_delete(using="default")
    assert forget(now=now) == 2


def test_a_body_is_what_the_event_says(home: Workspace, shop: Receiver) -> None:
    make_endpoint(home, shop.url())
    happen(home, "1", data={"text": "Grüße\n", "n": 1.5, "list": [None, True]})
    deliver()
    assert orjson.loads(shop.received[0].body)["data"] == {"text": "Grüße\n", "n": 1.5, "list": [None, True]}
