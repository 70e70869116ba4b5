"""What tests of outgoing webhooks do: make endpoints, tell of events, and send what is due as a worker does."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from agents.engine.database_clock import database_now
from agents.models import WebhookDelivery, WebhookEndpoint, Workspace
from agents.services.events import emit_event
from agents.triggers.delivering import Deliverer
from agents.triggers.outbox import enqueue_deliveries, secret_place
from tools.secrets import seal

KEY, OTHER = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"a", b"b"))
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


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
