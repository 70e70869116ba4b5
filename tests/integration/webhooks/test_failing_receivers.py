"""Receivers of outgoing webhooks that fail, are gone or ask for time, on both databases. Faults E 29."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agents.engine.database_clock import database_now
from agents.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, Workspace
from agents.triggers import delivering
from agents.triggers.outbox import claim_due, make_pending, record_attempt
from agents.triggers.retrying import ATTEMPTS, Answer
from tests.outbox import come_due, deliver, happen, make_endpoint, states
from tests.receiver import Receiver, Reply

pytestmark = pytest.mark.django_db(transaction=True)


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
