"""Schedules and watchers: the operator sees those of all workspaces, pauses them, and lets them go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from agents.admin.base import LookOnly, pretty
from agents.models import Schedule, Timed, User, Watcher
from agents.services import schedules, watchers
from agents.services.errors import ServiceError
from agents.services.timed import next_times, words_of


class TimedAdmin(LookOnly[Any]):
    """What has a time of its own. It is changed on the pages and over the API, where it is checked."""

    list_filter: ClassVar[tuple[Any, ...]] = (
        ("broken", admin.EmptyFieldListFilter),
        ("paused_at", admin.EmptyFieldListFilter),
        "workspace",
    )
    list_select_related = ("workspace", "agent")
    search_fields = ("name", "note", "agent__name", "broken")
    search_help_text = "Name, note, agent, what is broken"
    ordering = ("workspace", "name")
    exclude = ("input", "target", "state")

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Acting on them needs the right to change them."""
        return bool(request.user.has_perm(f"agents.change_{self.model._meta.model_name}"))

    @admin.display(description="When")
    def words(self, row: Timed) -> str:
        return words_of(row)

    @admin.display(description="Next five times")
    def following(self, row: Timed) -> str:
        return ", ".join(f"{time:%Y-%m-%d %H:%M:%S} UTC" for time in next_times(row)) or "none"

    @admin.display(description="Input")
    def input_json(self, row: Timed) -> str:
        return pretty(row.input)

    def _each(self, request: HttpRequest, chosen: QuerySet[Any], verb: Callable[..., object], done: str) -> None:
        count = 0
        for row in chosen.select_related("workspace", "agent"):
            try:
                # As the operator of the instance, who need not be a member.
                verb(row, by=None)
            except ServiceError as error:
                self.message_user(request, f"{row.name}: {error.message}", messages.WARNING)
            else:
                count += 1
                assert isinstance(request.user, User)  # noqa: S101 (others do not get here)
                self.log_change(request, row, done)
        self.message_user(request, f"{count} {done}.", messages.SUCCESS)


@admin.register(Schedule)
class ScheduleAdmin(TimedAdmin):
    """Schedules of all workspaces."""

    list_display = ("name", "workspace", "words", "agent", "fires_at", "fired_at", "paused_at", "broken")
    readonly_fields = ("following", "input_json")
    actions = ("pause", "resume")

    @admin.action(description="Pause selected schedules", permissions=["pause"])
    def pause(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> None:
        self._each(request, chosen, schedules.pause_schedule, "paused")

    @admin.action(description="Let selected schedules go on", permissions=["pause"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> None:
        self._each(request, chosen, schedules.resume_schedule, "resumed")


@admin.register(Watcher)
class WatcherAdmin(TimedAdmin):
    """Watchers of all workspaces."""

    list_display = ("name", "workspace", "kind", "words", "fires_at", "looked_at", "changed_at", "failures", "problem")
    list_filter: ClassVar[tuple[Any, ...]] = ("kind", *TimedAdmin.list_filter)
    readonly_fields = ("following", "target_json", "input_json")
    actions = ("pause", "resume")

    @admin.display(description="Target")
    def target_json(self, watcher: Watcher) -> str:
        return pretty(watcher.target)

    @admin.action(description="Pause selected watchers", permissions=["pause"])
    def pause(self, request: HttpRequest, chosen: QuerySet[Watcher]) -> None:
        self._each(request, chosen, watchers.pause_watcher, "paused")

    @admin.action(description="Let selected watchers go on", permissions=["pause"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Watcher]) -> None:
        self._each(request, chosen, watchers.resume_watcher, "resumed")
