"""Events, what they started, and who waits for some."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from agents.admin.base import LookOnly, TabularInline, pretty
from agents.admin.runs import BoundedPaginator
from agents.models import Event, Flow, Listener, Match, Subscription


class MatchesOfEvent(TabularInline[Match, Event]):
    """What came of an event."""

    model = Match
    fields = ("name", "status", "reason", "run_id", "at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        return False


@admin.register(Event)
class EventAdmin(LookOnly[Event]):
    """Events of all workspaces, each with its delivery log."""

    list_display = ("name", "workspace", "source", "event_id", "tainted", "received_at", "dispatched_at")
    list_filter = (("dispatched_at", admin.EmptyFieldListFilter), "tainted")
    list_select_related = ("workspace",)
    search_fields = ("=event_id", "name", "source")
    search_help_text = "The source's id, name, source"
    ordering = ("-id",)
    paginator = BoundedPaginator
    exclude = ("data", "to_run", "cause")
    readonly_fields = ("to_run_id", "cause_id", "shown_data")
    inlines = (MatchesOfEvent,)

    @admin.display(description="Data")
    def shown_data(self, event: Event) -> SafeString | str:
        return pretty(event.data)


@admin.register(Subscription)
class SubscriptionAdmin(LookOnly[Subscription]):
    """Which events start which agents."""

    list_display = ("name", "workspace", "pattern", "agent", "state", "priority", "updated_at")
    list_filter = ("state",)
    list_select_related = ("workspace", "agent")
    search_fields = ("name", "pattern", "agent__name")
    ordering = ("-id",)


@admin.register(Match)
class MatchAdmin(LookOnly[Match]):
    """The delivery log: which event met which subscription, and what came of it."""

    list_display = ("event_id", "name", "status", "reason", "run_id", "at")
    list_filter = ("status",)
    search_fields = ("name", "reason")
    ordering = ("-id",)
    paginator = BoundedPaginator
    exclude = ("event", "run")
    readonly_fields = ("event_id", "run_id")


@admin.register(Flow)
class FlowAdmin(LookOnly[Flow]):
    """What flow control remembers, by subscription and key."""

    list_display = ("subscription", "key", "due_at", "waits_for_id", "touched_at")
    list_select_related = ("subscription",)
    search_fields = ("key", "subscription__name")
    exclude = ("waits_for",)
    ordering = ("-id",)
    paginator = BoundedPaginator


@admin.register(Listener)
class ListenerAdmin(LookOnly[Listener]):
    """Runs that wait for an event."""

    list_display = ("run_id", "workspace", "pattern", "key", "created_at")
    list_select_related = ("workspace",)
    search_fields = ("pattern", "key")
    ordering = ("-id",)
    paginator = BoundedPaginator
    exclude = ("run",)
    readonly_fields = ("run_id",)
