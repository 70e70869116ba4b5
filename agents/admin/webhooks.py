"""Webhooks in and out, for operators: to look at. They are set on their pages and over the API."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from agents.admin.base import LookOnly, TabularInline
from agents.admin.runs import BoundedPaginator
from agents.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookSource

SECRETS = ("secret", "previous_secret")


@admin.register(WebhookSource)
class WebhookSourceAdmin(LookOnly[WebhookSource]):
    """Who may send webhooks. Its secrets are nowhere to be seen."""

    list_display = ("name", "workspace", "scheme", "event_name", "is_enabled", "refused", "refused_at")
    list_filter = ("scheme", "is_enabled")
    list_select_related = ("workspace",)
    search_fields = ("name", "note", "address")
    exclude = SECRETS

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookSource]:
        return super().get_queryset(request).defer(*SECRETS)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(LookOnly[WebhookEndpoint]):
    """Where events are sent to. Its secrets are nowhere to be seen."""

    list_display = ("name", "workspace", "url", "disabled", "failing_since")
    list_select_related = ("workspace",)
    search_fields = ("name", "url", "note")
    exclude = SECRETS

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        return super().get_queryset(request).defer(*SECRETS)


class AttemptInline(TabularInline[WebhookAttempt, WebhookDelivery]):
    """The attempts at a delivery."""

    model = WebhookAttempt
    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: WebhookDelivery | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: WebhookDelivery | None = None) -> bool:
        return False


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(LookOnly[WebhookDelivery]):
    """The outbox: what is on its way, what has arrived, what was given up."""

    list_display = ("event_name", "workspace", "endpoint", "status", "reason", "attempts", "due_at")
    list_filter = ("status",)
    list_select_related = ("workspace", "endpoint")
    search_fields = ("event_name",)
    raw_id_fields = ("event",)
    paginator = BoundedPaginator
    inlines = (AttemptInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        return super().get_queryset(request).defer("endpoint__secret", "endpoint__previous_secret")


@admin.register(WebhookAttempt)
class WebhookAttemptAdmin(LookOnly[WebhookAttempt]):
    """The attempts of all deliveries."""

    list_display = ("delivery", "at", "seconds", "status", "error")
    list_select_related = ("delivery",)
    search_fields = ("error",)
    paginator = BoundedPaginator
