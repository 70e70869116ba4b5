"""Webhooks as they come: looked at, made events, counted where they are refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import orjson
import structlog
from django.db import transaction
from django.db.models import F, Max, Q, QuerySet
from django.utils import timezone

from agents.models import Event, User, WebhookScheme, WebhookSource
from agents.services.errors import Conflict
from agents.services.events import emit_event
from agents.services.rights import require_admin
from agents.services.webhook_secrets import secrets_of
from agents.services.webhook_sources import WHAT, scheme_of, source_label
from agents.triggers.reading import identify, name_event, read_body
from agents.triggers.signatures import SignatureRefused, sign, verify
from tools.errors import SecretUnreadable

MAX_BODY: Final = 1024 * 1024
NOTED_EVERY: Final = timedelta(minutes=1)
LOOKED_THROUGH: Final = 10_000
"""So many of the latest events are looked through for those of one source."""
TEST_TYPE: Final = "test"

log = structlog.get_logger(__name__)


def find_source(address: str) -> WebhookSource | None:
    """Give the source of an address, if it takes webhooks now."""
    return WebhookSource.objects.select_related("workspace").filter(address=address, is_enabled=True).first()


def receive(
    source: WebhookSource, headers: Mapping[str, str], body: bytes, *, content_type: str, now: datetime
) -> Event:
    """Make an event of a webhook, once however often it comes. Names of headers are lower case.

    Raises SignatureRefused, which is counted, and InvalidInput for what can't be kept.
    """
    try:
        verify(scheme_of(source), _secrets(source, now), headers, body, now=now)
    except SignatureRefused as refused:
        _note_refusal(source, refused, now)
        raise
    data = read_body(body, content_type)
    event_id = identify(source.id_from, headers, data, _signed(source, headers, body))
    with transaction.atomic():
        event = emit_event(
            source.workspace,
            name_event(source.event_name, source.type_from, headers, data),
            data,
            source=source_label(source),
            event_id=event_id,
            # Whoever signed it may quote anybody.
            tainted=True,
        )
    stale = Q(accepted_at=None) | Q(accepted_at__lt=now - NOTED_EVERY)
    WebhookSource.objects.filter(stale, pk=source.pk).update(accepted_at=now)
    return event


def send_test(source: WebhookSource, *, data: Any = None, by: User) -> Event:
    """Send a webhook to a source as its sender would, signed, and give the event that it became.

    Raises Conflict if the source takes none: it is switched off, or its secret can't be read.
    """
    require_admin(source.workspace_id, by, WHAT)
    found = find_source(source.address)
    if found is None:
        raise Conflict("The source is switched off: it takes no webhooks, no test either.")
    now, id = timezone.now(), f"test_{uuid4().hex}"
    said = {"message": f"A test, sent by {by.get_username()}"} if data is None else data
    body = orjson.dumps({"id": id, "type": TEST_TYPE, "data": said})
    headers = {"content-type": "application/json", **_placed(found.type_from, TEST_TYPE), **_placed(found.id_from, id)}
    log.info("webhook_tested", workspace=found.workspace.slug, source=found.name, by=by.get_username())
    try:
        if found.scheme != WebhookScheme.NONE:
            headers |= sign(scheme_of(found), secrets_of(found, now)[0], body, id=id, now=now)
        return receive(found, headers, body, content_type="application/json", now=now)
    except (SignatureRefused, SecretUnreadable) as error:
        raise Conflict(str(error)) from error


def latest_events(source: WebhookSource, count: int = 10) -> QuerySet[Event]:
    """Give the latest events of a source, the newest first, as far as they are among the latest of all."""
    newest = Event.objects.filter(workspace=source.workspace_id).aggregate(id=Max("id"))["id"] or 0
    events = Event.objects.filter(workspace=source.workspace_id, source=source_label(source))
    return events.filter(id__gt=newest - LOOKED_THROUGH).order_by("-id")[:count]


def _secrets(source: WebhookSource, now: datetime) -> list[str]:
    return [] if source.scheme == WebhookScheme.NONE else secrets_of(source, now)


def _signed(source: WebhookSource, headers: Mapping[str, str], body: bytes) -> bytes | None:
    """Give what the sender has signed, without what could be written in another way."""
    if source.scheme in (WebhookScheme.TOKEN, WebhookScheme.NONE):
        return None
    time = headers.get(scheme_of(source).timestamp_header.lower(), "")
    return b"%s.%s" % (time.encode(), body)


def _placed(place: str, value: str) -> dict[str, str]:
    """Give the header in which a sender would say it, if it is one."""
    kind, _, name = place.partition(":")
    return {name.lower(): value} if kind == "header" else {}


def _note_refusal(source: WebhookSource, refused: SignatureRefused, now: datetime) -> None:
    WebhookSource.objects.filter(pk=source.pk).update(
        refused=F("refused") + 1, refused_at=now, refusal=str(refused)[:300]
    )
    log.warning(
        "webhook_refused",
        workspace=source.workspace.slug,
        source=source.name,
        kind=type(refused).__name__,
        reason=str(refused),
    )
