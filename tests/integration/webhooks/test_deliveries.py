"""Outgoing webhooks: from the outbox to a real receiver, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db import transaction
from standardwebhooks.webhooks import Webhook

from agents.engine.database_clock import database_now
from agents.models import Event, WebhookAttempt, WebhookDelivery, WebhookEndpoint, Workspace
from agents.services.events import emit_event
from agents.triggers.outbox import KEPT_FOR, enqueue_deliveries, forget, secret_place
from tests.factories import make_run, make_workspace
from tests.outbox import KEY, OTHER, deliver, happen, make_endpoint, states
from tests.receiver import Receiver, Reply
from tools.secrets import seal

pytestmark = pytest.mark.django_db(transaction=True)


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
