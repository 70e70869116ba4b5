"""The outbox of webhooks: rows written with the event, claimed by whoever sends them, and what came of it.

A row is pending until it is delivered or given up, whatever dies in between: a claim is over by its time, and the
commit that records an attempt is the only thing that ends it. So each is sent at least once, and the receiver knows a
second time by the `webhook-id`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID, uuid4
from weakref import WeakSet

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from agents.engine.canonical import encode
from agents.matching import matches
from agents.models import DeliveryStatus, Event, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from agents.triggers.patterns import fits
from agents.triggers.retrying import Answer, Delivered, GiveUp, TryAgain, after_attempt
from tools.errors import SecretUnreadable
from tools.secrets import unseal

LEASE: Final = timedelta(seconds=60)
"""How long a claim holds: several times what an attempt may take."""
AT_ONCE_EACH: Final = 4
"""Attempts at one endpoint that a worker makes at the same time."""
KEPT_FOR: Final = timedelta(days=30)
MAX_REASON: Final = 300
DISABLED: Final = "The endpoint is disabled: "
BROKEN: Final = "its condition can't be applied"

log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Who wants to hear, in this process, that the outbox has been filled."""

    def poke(self) -> None: ...


listeners: WeakSet[Listener] = WeakSet()
"""Others look every second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery to be attempted. `secrets` are one or, during a rotation, two; without any, `problem` says why."""

    id: UUID
    claim: UUID
    endpoint_id: UUID
    message_id: str
    url: str
    body: bytes
    secrets: tuple[str, ...]
    problem: str = ""


def secret_place(endpoint_id: UUID, column: str = "secret") -> str:
    """Name the place for which a secret of an endpoint is sealed."""
    return f"webhook-endpoint:{endpoint_id}:{column}"


def enqueue_deliveries(events: Iterable[Event], *, now: datetime) -> int:
    """Put events into the outbox, once for each endpoint that wants them; give how many rows that may be.

    Belongs into the transaction in which the events are dispatched. Seen again, they change nothing. What is meant for
    one run alone is not sent, nor what was dispatched once more: the outbox has a replay of its own.
    """
    by_workspace: dict[int, list[Event]] = {}
    for event in events:
        if event.to_run_id is None and event.replay_of_id is None:
            by_workspace.setdefault(event.workspace_id, []).append(event)
    if not by_workspace:
        return 0
    rows: list[WebhookDelivery] = []
    for endpoint in WebhookEndpoint.objects.filter(workspace_id__in=by_workspace, disabled=""):
        try:
            wanted = [event for event in by_workspace[endpoint.workspace_id] if wants(endpoint, event)]
        except Exception:
            # No form takes such a condition; should it stand in the table, the events of all others are not held up.
            log.exception("endpoint_failed", endpoint=str(endpoint.pk))
            disable(endpoint.pk, BROKEN, now=now)
        else:
            rows += [make_delivery(endpoint, event, now) for event in wanted]
    if rows:
        WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=True)
        transaction.on_commit(poke)
    return len(rows)


def poke() -> None:
    """Have this process's worker look at the outbox, if it is one."""
    for listener in list(listeners):
        listener.poke()


def wants(endpoint: WebhookEndpoint, event: Event) -> bool:
    """Whether an event is sent to an endpoint."""
    is_named = any(fits(event.name, pattern) for pattern in endpoint.events)
    return is_named and matches(endpoint.filter, event.data)


def make_delivery(endpoint: WebhookEndpoint, event: Event, now: datetime) -> WebhookDelivery:
    """Make the row of an event for an endpoint; not saved."""
    at = event.occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    body = {"type": event.name, "timestamp": at, "data": event.data}
    return WebhookDelivery(
        workspace_id=endpoint.workspace_id,
        endpoint=endpoint,
        event=event,
        event_name=event.name,
        body=encode(body),
        due_at=now,
        created_at=now,
    )


def claim_due(busy: Mapping[UUID, int], room: int, *, now: datetime) -> list[Claimed]:
    """Claim up to `room` deliveries that are due, for each endpoint as many as it has places left.

    `busy` says how many attempts are under way by endpoint. The endpoint that has waited longest comes first, and none
    gets another's places: one that is slow, or has ten thousand due, delays nobody.
    """
    due = _due(now).filter(endpoint=OuterRef("pk")).order_by("due_at").values("due_at")[:1]
    full = [endpoint for endpoint, count in busy.items() if count >= AT_ONCE_EACH]
    waiting = WebhookEndpoint.objects.filter(disabled="").exclude(pk__in=full).annotate(waits_since=Subquery(due))
    claimed: list[Claimed] = []
    with transaction.atomic():
        for endpoint in waiting.filter(waits_since__isnull=False).order_by("waits_since")[:room]:
            free = min(AT_ONCE_EACH - busy.get(endpoint.pk, 0), room - len(claimed))
            if free <= 0:
                break
            claimed += _claim(endpoint, free, now)
    return claimed


def _due(now: datetime) -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(status=DeliveryStatus.PENDING, due_at__lte=now)


def _claim(endpoint: WebhookEndpoint, count: int, now: datetime) -> list[Claimed]:
    rows = _due(now).select_for_update(skip_locked=True).filter(endpoint=endpoint).order_by("due_at", "id")
    taken = list(rows[:count])
    claim = uuid4()
    WebhookDelivery.objects.filter(pk__in=[row.pk for row in taken]).update(claim=claim, due_at=now + LEASE)
    secrets, problem = _secrets(endpoint, now)
    return [
        Claimed(
            id=row.pk,
            claim=claim,
            endpoint_id=endpoint.pk,
            message_id=row.message_id,
            url=endpoint.url,
            body=row.body.encode(),
            secrets=secrets,
            problem=problem,
        )
        for row in taken
    ]


def _secrets(endpoint: WebhookEndpoint, now: datetime) -> tuple[tuple[str, ...], str]:
    columns = ["secret"]
    if endpoint.previous_secret and endpoint.previous_until is not None and endpoint.previous_until > now:
        columns.append("previous_secret")
    try:
        values = [
            unseal(endpoint.workspace_id, secret_place(endpoint.pk, column), getattr(endpoint, column))
            for column in columns
        ]
    except SecretUnreadable as error:
        return (), str(error)
    return tuple(values), ""


def record_attempt(
    claimed: Claimed, answer: Answer, *, text: str, began: datetime, seconds: float, now: datetime, chance: float
) -> None:
    """Record what came of an attempt, and what follows: delivered, tried again, given up, the endpoint disabled."""
    with transaction.atomic():
        mine = WebhookDelivery.objects.select_for_update().filter(pk=claimed.id).first()
        if mine is None:
            return  # The endpoint was removed meanwhile.
        WebhookAttempt.objects.create(
            delivery=mine, at=began, seconds=seconds, status=answer.status, answer=text, error=answer.error[:MAX_REASON]
        )
        endpoint = WebhookEndpoint.objects.filter(pk=claimed.endpoint_id).first()
        if endpoint is None or mine.claim != claimed.claim or mine.status != DeliveryStatus.PENDING:
            return  # Others have it now: the claim was over, or somebody has replayed it.
        mine.attempts += 1
        decided = after_attempt(
            answer, attempts=mine.attempts, failing_since=endpoint.failing_since, now=now, chance=chance
        )
        _settle(mine, decided, answer, now)
        _note_health(endpoint, answer, now)
        if isinstance(decided, GiveUp) and decided.disable:
            disable(endpoint.pk, decided.disable, now=now)


def _settle(mine: WebhookDelivery, decided: Delivered | TryAgain | GiveUp, answer: Answer, now: datetime) -> None:
    mine.claim = None
    words = answer.words[:1].upper() + answer.words[1:].rstrip(".")
    if isinstance(decided, TryAgain):
        mine.due_at, mine.reason = decided.at, f"{words}; it is tried again."
    else:
        mine.status = DeliveryStatus.DELIVERED if isinstance(decided, Delivered) else DeliveryStatus.FAILED
        mine.ended_at = now
        mine.reason = f"{words}." if isinstance(decided, Delivered) else f"Given up after {mine.attempts}: {words}."
    mine.reason = mine.reason[:MAX_REASON]
    mine.save()


def _note_health(endpoint: WebhookEndpoint, answer: Answer, now: datetime) -> None:
    """Written only when it changes: all deliveries of an endpoint would wait for each other otherwise."""
    mine = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    if answer.is_success and endpoint.failing_since is not None:
        mine.update(failing_since=None)
    elif not answer.is_success and endpoint.failing_since is None:
        mine.filter(failing_since=None).update(failing_since=now)


def disable(endpoint_id: UUID, reason: str, *, now: datetime) -> None:
    """Send nothing more to an endpoint. What was on its way is listed as failed, and can be replayed."""
    WebhookEndpoint.objects.filter(pk=endpoint_id).update(disabled=reason[:MAX_REASON], disabled_at=now)
    pending = WebhookDelivery.objects.filter(endpoint=endpoint_id, status=DeliveryStatus.PENDING)
    words = f"{DISABLED}{reason}"[:MAX_REASON]
    pending.update(status=DeliveryStatus.FAILED, reason=words, claim=None, ended_at=now)


def make_pending(deliveries: QuerySet[WebhookDelivery], *, now: datetime) -> int:
    """Send deliveries once more, from the first attempt on, under the ids they had; give how many."""
    fresh: dict[str, Any] = {"status": DeliveryStatus.PENDING, "attempts": 0, "claim": None, "ended_at": None}
    return deliveries.update(**fresh, due_at=now, reason="It is sent once more.")


def forget(*, now: datetime) -> int:
    """Remove what ended long ago, and what belongs to endpoints that are gone; give how many."""
    gone = ~Exists(WebhookEndpoint.objects.filter(pk=OuterRef("endpoint_id")))
    old = Q(ended_at__lt=now - KEPT_FOR)
    ids = list(WebhookDelivery.objects.filter(old | Q(gone)).values_list("pk", flat=True)[:1000])
    WebhookAttempt.objects.filter(delivery__in=ids).delete()
    return WebhookDelivery.objects.filter(pk__in=ids).delete()[0]
