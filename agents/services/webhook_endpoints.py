"""Endpoints: where events of a workspace are sent to. Set by its administrators."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from agents import matching
from agents.engine.interest import let_take_effect
from agents.models import Event, User, WebhookDelivery, WebhookEndpoint, Workspace
from agents.services.errors import Conflict, InvalidInput, NotFound
from agents.services.reaching import check_host
from agents.services.rights import require_admin
from agents.services.webhook_secrets import DAY, check_secret, make_secret, rotate_secret, set_secret
from agents.services.webhook_sources import NAME, WHAT
from agents.triggers import outbox
from agents.triggers.patterns import fault_of_pattern
from tools.errors import AddressRefused
from tools.http import parse_url

MAX_ENDPOINTS, MAX_EVENTS, MAX_NOTE, MAX_URL = 50, 50, 200, 2000
TEST_EVENT: Final = "webhook.test"
BY_HAND: Final = "Switched off by {}."
_SPACES = re.compile(r"\s")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Where to send, and what: events whose name fits one of the patterns and whose data fits the filter."""

    url: str
    events: tuple[str, ...] = ("*",)
    filter: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def check(self) -> None:
        """Raise InvalidInput for what is no endpoint, or none that may be reached."""
        self._check_url()
        if not 1 <= len(self.events) <= MAX_EVENTS:
            raise InvalidInput(f"Name 1 to {MAX_EVENTS} events, or * for all.", "events")
        for pattern in self.events:
            if fault := fault_of_pattern(pattern):
                raise InvalidInput(fault, "events")
        if faults := matching.problems(self.filter):
            raise InvalidInput(faults[0], "filter")
        if len(self.note) > MAX_NOTE:
            raise InvalidInput(f"A note has at most {MAX_NOTE} characters.", "note")

    def _check_url(self) -> None:
        if len(self.url) > MAX_URL or _SPACES.search(self.url):
            raise InvalidInput(f"An address has no spaces and at most {MAX_URL:,} characters.", "url")
        try:
            url = parse_url(self.url)
            if url.fragment:
                raise AddressRefused("What stands behind a # is not sent: leave it out.")
            check_host(self.url)
        except AddressRefused as error:
            raise InvalidInput(str(error), "url") from error


def list_endpoints(workspace: Workspace) -> QuerySet[WebhookEndpoint]:
    """Give the workspace's endpoints by name, without their secrets."""
    return WebhookEndpoint.objects.filter(workspace=workspace).defer("secret", "previous_secret").order_by("name")


def get_endpoint(workspace: Workspace, name: str) -> WebhookEndpoint:
    """Give one of them; raises NotFound."""
    endpoint = list_endpoints(workspace).filter(name=name).first()
    if endpoint is None:
        raise NotFound(f"This workspace has no endpoint named {name[:100]!r}.")
    return endpoint


def create_endpoint(
    workspace: Workspace, name: str, wanted: Wanted, *, secret: str = "", by: User
) -> tuple[WebhookEndpoint, str]:
    """Make an endpoint; give it with its secret, which can't be shown again. It gets what happens from now on."""
    require_admin(workspace.pk, by, WHAT)
    if not NAME.fullmatch(name):
        raise InvalidInput("A name begins with a small letter and has small letters, digits, - and _.", "name")
    wanted.check()
    if list_endpoints(workspace).count() >= MAX_ENDPOINTS:
        raise InvalidInput(f"A workspace has at most {MAX_ENDPOINTS} endpoints.", "name")
    if secret:
        check_secret(secret)
    endpoint, text = WebhookEndpoint(workspace=workspace, name=name, created_by=by), secret or make_secret()
    set_secret(endpoint, text)
    try:
        with transaction.atomic():
            _write(endpoint, wanted)
    except IntegrityError as error:
        raise InvalidInput(f"There is an endpoint named {name!r} already.", "name") from error
    log.info("webhook_endpoint_created", workspace=workspace.slug, endpoint=name, by=by.get_username())
    return endpoint, text


def change_endpoint(endpoint: WebhookEndpoint, wanted: Wanted, *, by: User) -> WebhookEndpoint:
    """Change all of an endpoint but its name. What is on its way goes to the new address."""
    require_admin(endpoint.workspace_id, by, WHAT)
    wanted.check()
    with transaction.atomic():
        _write(endpoint, wanted)
    _log("webhook_endpoint_changed", endpoint, by)
    return endpoint


def rotate_endpoint(endpoint: WebhookEndpoint, *, secret: str = "", hours: int = DAY, by: User) -> str:
    """Sign by another secret, given back, and for so many hours more by the present one too."""
    require_admin(endpoint.workspace_id, by, WHAT)
    if secret:
        check_secret(secret)
    text = secret or make_secret()
    with transaction.atomic():
        row = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        rotate_secret(row, text, hours=hours, now=timezone.now())
        row.save(update_fields=("secret", "previous_secret", "previous_until", "updated_at"))
    _log("webhook_secret_rotated", endpoint, by)
    return text


def switch_endpoint(endpoint: WebhookEndpoint, *, on: bool, by: User) -> WebhookEndpoint:
    """Send to an endpoint, or send it nothing more: what is on its way is then listed as failed, to be replayed."""
    require_admin(endpoint.workspace_id, by, WHAT)
    with transaction.atomic():
        if on:
            fresh: dict[str, Any] = {"disabled": "", "disabled_at": None, "failing_since": None}
            WebhookEndpoint.objects.filter(pk=endpoint.pk).update(**fresh)
        elif not endpoint.disabled:
            outbox.disable(endpoint.pk, BY_HAND.format(by.get_username()), now=timezone.now())
    _log("webhook_endpoint_enabled" if on else "webhook_endpoint_disabled", endpoint, by)
    endpoint.refresh_from_db()
    return endpoint


def remove_endpoint(endpoint: WebhookEndpoint, *, by: User) -> None:
    """Remove an endpoint with the log of what was sent to it."""
    require_admin(endpoint.workspace_id, by, WHAT)
    endpoint.delete()
    _log("webhook_endpoint_removed", endpoint, by)


def try_endpoint(endpoint: WebhookEndpoint, *, by: User) -> WebhookDelivery:
    """Send a test event to one endpoint, in the way of all events; nobody else hears of it."""
    require_admin(endpoint.workspace_id, by, WHAT)
    if endpoint.disabled:
        raise Conflict("The endpoint is switched off: nothing is sent to it, no test either.")
    now = timezone.now()
    with transaction.atomic():
        data = {"message": f"A test, sent by {by.get_username()}"}
        event = Event.objects.create(
            workspace_id=endpoint.workspace_id,
            name=TEST_EVENT,
            data=data,
            source=f"webhook-endpoint:{endpoint.name}",
            occurred_at=now,
            dispatched_at=now,
        )
        delivery = outbox.make_delivery(endpoint, event, now)
        delivery.save()
        transaction.on_commit(outbox.poke)
    _log("webhook_endpoint_tested", endpoint, by)
    return delivery


def _write(endpoint: WebhookEndpoint, wanted: Wanted) -> None:
    endpoint.url, endpoint.note = wanted.url.strip(), wanted.note
    endpoint.events, endpoint.filter = list(wanted.events), dict(wanted.filter)
    endpoint.updated_at = timezone.now()
    if endpoint._state.adding:
        endpoint.save()
    else:
        # Whoever sends may switch it off at this moment.
        endpoint.save(update_fields=("url", "note", "events", "filter", "updated_at"))
    let_take_effect(wanted.events)


def _log(what: str, endpoint: WebhookEndpoint, by: User) -> None:
    log.info(what, workspace=endpoint.workspace.slug, endpoint=endpoint.name, by=by.get_username())
