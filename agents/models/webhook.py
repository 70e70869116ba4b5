"""Webhooks in and out: who may send us events, and whom we send ours to."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from agents.models.fields import SealedField, uuid7
from agents.models.trigger import Event
from agents.models.workspace import Workspace

MAX_ADDRESS = 64
KEPT = 1024
"""Bytes of an answer that the log of deliveries keeps."""


def make_address() -> str:
    """Make the part of a source's address that nobody guesses."""
    return secrets.token_urlsafe(24)


class WebhookScheme(models.TextChoices):
    """How the webhooks of a source show who sent them."""

    STANDARD = "standard", "Standard Webhooks"
    GITHUB = "github", "GitHub"
    STRIPE = "stripe", "Stripe"
    HMAC = "hmac", "HMAC in a header"
    TOKEN = "token", "token in a header"
    NONE = "none", "not at all: anybody who knows the address"


class WebhookSource(models.Model):
    """Who may send webhooks to `/hooks/<address>`; each becomes an event.

    `event_name` is the event's name, in which `{type}` stands for what `type_from` gives: `header:X-Event`, or
    `body:data.type` for a field of the body. `id_from` says so where the sender's id of the webhook is found, by which
    one that comes twice is known. `options` are those of the schemes hmac and token. The secrets are sealed; the
    previous one is good until `previous_until`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="webhook_sources", db_index=False)
    name = models.SlugField(max_length=40, db_index=False)
    address = models.CharField(max_length=MAX_ADDRESS, unique=True, default=make_address, editable=False)
    scheme = models.CharField(max_length=10, choices=WebhookScheme.choices)
    options = models.JSONField(default=dict, blank=True)
    tolerance = models.PositiveIntegerField(default=300, help_text="Seconds that a signature's time may be off.")
    secret = SealedField(blank=True)
    previous_secret = SealedField(blank=True)
    previous_until = models.DateTimeField(null=True, blank=True, editable=False)
    event_name = models.CharField(max_length=200)
    type_from = models.CharField(max_length=120, blank=True)
    id_from = models.CharField(max_length=120, blank=True)
    is_enabled = models.BooleanField(default=True)
    note = models.CharField(max_length=200, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)
    refused = models.PositiveIntegerField(default=0, editable=False, help_text="Webhooks with a bad signature.")
    refused_at = models.DateTimeField(null=True, blank=True, editable=False)
    refusal = models.CharField(max_length=300, blank=True, editable=False, help_text="Why the last one was refused.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=("workspace", "name"), name="webhooksource_once"),
            models.CheckConstraint(condition=Q(scheme__in=WebhookScheme.values), name="webhooksource_scheme_known"),
        )

    def __str__(self) -> str:
        return self.name


class WebhookEndpoint(models.Model):
    """Where events of a workspace are sent to. `events` are patterns of names, as those of subscriptions are.

    `failing_since` is when the first of the failures was after which nothing succeeded. `disabled` says why nothing is
    sent any more; empty while it is enabled.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="webhook_endpoints", db_index=False)
    name = models.SlugField(max_length=40, db_index=False)
    url = models.CharField(max_length=2000)
    events = models.JSONField(default=list)
    filter = models.JSONField(default=dict, blank=True, help_text="What the event's data must be like; {}: anything.")
    secret = SealedField()
    previous_secret = SealedField(blank=True)
    previous_until = models.DateTimeField(null=True, blank=True, editable=False)
    disabled = models.CharField(max_length=300, blank=True, editable=False)
    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("workspace", "name"), name="webhookendpoint_once"),)

    def __str__(self) -> str:
        return self.name


class DeliveryStatus(models.TextChoices):
    """The life of a delivery. A failed one is not tried again by itself; a replay makes it pending once more."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookDelivery(models.Model):
    """An event on its way to an endpoint: the outbox. Written in the transaction in which the event is seen.

    It outlives the event. Its own id is the `webhook-id` that the receiver gets with each attempt and each replay;
    `body` is what is sent. Whoever sends it takes it by a `claim` and moves `due_at` to when the claim is over: after a
    crash it is due then. `attempts` counts those since it was last made pending, `reason` says in words what its status
    means.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    # An endpoint that is removed at this moment must not undo the transaction of an event.
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False, db_constraint=False
    )
    event = models.ForeignKey(
        Event, on_delete=models.DO_NOTHING, related_name="deliveries", db_index=False, db_constraint=False
    )
    event_name = models.CharField(max_length=200)
    body = models.TextField()
    status = models.CharField(max_length=10, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    reason = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField()
    claim = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("endpoint", "event"), name="webhookdelivery_once"),
            models.CheckConstraint(condition=Q(status__in=DeliveryStatus.values), name="webhookdelivery_status_known"),
        )
        indexes = (
            models.Index(fields=("endpoint", "due_at"), name="webhookdelivery_due", condition=Q(status="pending")),
            models.Index(fields=("endpoint", "-id"), name="webhookdelivery_endpoint"),
            models.Index(fields=("workspace", "-id"), name="webhookdelivery_workspace"),
        )

    def __str__(self) -> str:
        return f"{self.event_name} to {self.endpoint_id}"

    @property
    def message_id(self) -> str:
        """The `webhook-id`: the same in each attempt, so that a receiver knows what it has had."""
        return f"msg_{self.id.hex}"


class WebhookAttempt(models.Model):
    """One attempt at a delivery: what was answered, or why there was no answer. `answer` is its first kilobyte."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    seconds = models.FloatField()
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    answer = models.TextField(blank=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("delivery", "id")

    def __str__(self) -> str:
        return str(self.status or self.error)
