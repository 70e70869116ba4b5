"""The log of outgoing webhooks, and sending once more what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from agents.models import DeliveryStatus, Event, User, WebhookAttempt, WebhookDelivery, WebhookEndpoint, Workspace
from agents.services.errors import Conflict, InvalidInput, NotFound
from agents.services.rights import require_admin
from agents.services.webhook_sources import WHAT
from agents.triggers import outbox

MOST_AT_ONCE: Final = 10_000
BATCH: Final = 500
FAILED, ALL, MISSED = "failed", "all", "missed"
WHICH: Final = (FAILED, ALL, MISSED)
_SECRETS = ("endpoint__secret", "endpoint__previous_secret")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What is sent once more: what happened from `since` up to `until`.

    `failed`: what was given up. `all`: what has arrived, too. `missed`: events that were never on their way, as the
    endpoint was switched off or wanted others then.
    """

    since: datetime
    until: datetime | None = None
    which: str = FAILED

    def check(self) -> None:
        """Raise InvalidInput for what is no range."""
        if self.which not in WHICH:
            raise InvalidInput(f"Choose one of: {', '.join(WHICH)}.", "which")
        if self.until is not None and self.until <= self.since:
            raise InvalidInput("The end of the range is not after its beginning.", "until")


def list_deliveries(
    workspace: Workspace, *, endpoint: WebhookEndpoint | None = None, status: str = "", event: int | None = None
) -> QuerySet[WebhookDelivery]:
    """Give deliveries, the newest first, each with its endpoint."""
    rows = WebhookDelivery.objects.filter(workspace=workspace).select_related("endpoint").defer("body", *_SECRETS)
    if endpoint is not None:
        rows = rows.filter(endpoint=endpoint)
    if status:
        rows = rows.filter(status=status)
    if event is not None:
        rows = rows.filter(event=event)
    return rows.order_by("-id")


def get_delivery(workspace: Workspace, delivery_id: UUID) -> WebhookDelivery:
    """Give one of them with its body; raises NotFound."""
    rows = WebhookDelivery.objects.filter(workspace=workspace, pk=delivery_id)
    delivery = rows.select_related("endpoint").defer(*_SECRETS).first()
    if delivery is None:
        raise NotFound("This workspace has no such delivery.")
    return delivery


def attempts_of(delivery: WebhookDelivery) -> QuerySet[WebhookAttempt]:
    """Give the attempts at a delivery in their order."""
    return WebhookAttempt.objects.filter(delivery=delivery).order_by("id")


def replay_delivery(delivery: WebhookDelivery, *, by: User) -> WebhookDelivery:
    """Send a delivery once more, under the id it had. One that is on its way is tried at once."""
    require_admin(delivery.workspace_id, by, WHAT)
    _require_enabled(delivery.endpoint)
    outbox.make_pending(WebhookDelivery.objects.filter(pk=delivery.pk), now=timezone.now())
    transaction.on_commit(outbox.poke)
    log.info("webhook_replayed", workspace=delivery.workspace.slug, delivery=str(delivery.pk), by=by.get_username())
    delivery.refresh_from_db()
    return delivery


def replay_range(endpoint: WebhookEndpoint, wanted: Range, *, by: User) -> int:
    """Send a range of an endpoint's deliveries once more; give how many. What is on its way is left alone."""
    require_admin(endpoint.workspace_id, by, WHAT)
    wanted.check()
    _require_enabled(endpoint)
    now = timezone.now()
    with transaction.atomic():
        count = _replay_missed(endpoint, wanted, now) if wanted.which == MISSED else _replay(endpoint, wanted, now)
        transaction.on_commit(outbox.poke)
    log.info(
        "webhooks_replayed",
        workspace=endpoint.workspace.slug,
        endpoint=endpoint.name,
        which=wanted.which,
        count=count,
        by=by.get_username(),
    )
    return count


def _replay(endpoint: WebhookEndpoint, wanted: Range, now: datetime) -> int:
    rows = WebhookDelivery.objects.filter(endpoint=endpoint, created_at__gte=wanted.since)
    rows = rows.filter(created_at__lt=wanted.until or now)
    ended = (DeliveryStatus.FAILED, DeliveryStatus.DELIVERED) if wanted.which == ALL else (DeliveryStatus.FAILED,)
    rows = rows.filter(status__in=ended)
    _refuse_too_many(rows[: MOST_AT_ONCE + 1].count())
    return outbox.make_pending(rows, now=now)


def _replay_missed(endpoint: WebhookEndpoint, wanted: Range, now: datetime) -> int:
    events = Event.objects.filter(workspace=endpoint.workspace_id, received_at__gte=wanted.since)
    events = events.filter(received_at__lt=wanted.until or now, to_run=None, replay_of=None)
    _refuse_too_many(events[: MOST_AT_ONCE + 1].count())
    had = set(WebhookDelivery.objects.filter(endpoint=endpoint, event__in=events).values_list("event_id", flat=True))
    missed = [
        outbox.make_delivery(endpoint, event, now)
        for event in events.order_by("id").iterator(BATCH)
        if event.pk not in had and outbox.wants(endpoint, event)
    ]
    WebhookDelivery.objects.bulk_create(missed, batch_size=BATCH, ignore_conflicts=True)
    return len(missed)


def _refuse_too_many(count: int) -> None:
    if count > MOST_AT_ONCE:
        raise Conflict(f"In this range are more than {MOST_AT_ONCE:,}: choose a shorter one.")


def _require_enabled(endpoint: WebhookEndpoint) -> None:
    if endpoint.disabled:
        raise Conflict("The endpoint is switched off: switch it on first.")
