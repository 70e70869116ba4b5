"""Limits and kept results: the operator sets limits here, those of the instance and those of workspaces."""

from __future__ import annotations

from datetime import UTC, datetime

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from agents.admin.base import LookOnly, ModelAdmin
from agents.admin.runs import BoundedPaginator
from agents.services.errors import InvalidInput
from agents.services.limits import Wanted
from tools.limits.use import use_of
from tools.models import Limit, LimitClock, LimitPause, LimitPermit, LimitTicket, ToolResult


class LimitForm(forms.ModelForm):  # type: ignore[type-arg]
    """A limit, checked as everywhere else."""

    class Meta:
        model = Limit
        fields = ("workspace", "name", "amount", "period", "burst", "unit", "at_once", "note")

    def clean(self) -> dict[str, object]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                Wanted(**{name: value for name, value in cleaned.items() if name != "workspace"}).check()
            except InvalidInput as error:
                raise ValidationError({error.field: error.message}) from error
        return cleaned


@admin.register(Limit)
class LimitAdmin(ModelAdmin[Limit]):
    """Limits. One without a workspace holds for all of them together."""

    form = LimitForm
    list_display = ("name", "workspace", "words", "in_use", "updated_at")
    list_filter = ("unit",)
    list_select_related = ("workspace",)
    search_fields = ("name", "note")
    list_per_page = 50

    @admin.display(description="now")
    def in_use(self, limit: Limit) -> str:
        return use_of([limit])[limit.pk].words

    def save_model(self, request: HttpRequest, obj: Limit, form: object, change: bool) -> None:
        obj.updated_at = timezone.now()
        super().save_model(request, obj, form, change)


@admin.register(LimitClock)
class LimitClockAdmin(LookOnly[LimitClock]):
    """How far the starts of calls are given out, by name."""

    list_display = ("key", "limit", "next_start")
    list_select_related = ("limit",)
    search_fields = ("key",)
    paginator = BoundedPaginator

    @admin.display(description="next start", ordering="next_at")
    def next_start(self, clock: LimitClock) -> datetime:
        return datetime.fromtimestamp(clock.next_at, UTC)


@admin.register(LimitPermit)
class LimitPermitAdmin(LookOnly[LimitPermit]):
    """How many calls each worker has under way, by name."""

    list_display = ("clock", "worker", "held")
    list_select_related = ("clock", "worker")
    paginator = BoundedPaginator


@admin.register(LimitTicket)
class LimitTicketAdmin(LookOnly[LimitTicket]):
    """The places of those who wait."""

    list_display = ("clock", "workspace", "run_id", "step_key", "expected")
    list_select_related = ("clock", "workspace")
    paginator = BoundedPaginator

    @admin.display(description="expected", ordering="due")
    def expected(self, ticket: LimitTicket) -> datetime:
        return datetime.fromtimestamp(ticket.due, UTC)


@admin.register(LimitPause)
class LimitPauseAdmin(LookOnly[LimitPause]):
    """What the other side wants to be left alone with. Removing a pause lets calls go on at once."""

    list_display = ("key", "over_at", "reason")
    search_fields = ("key",)

    @admin.display(description="over", ordering="until")
    def over_at(self, pause: LimitPause) -> datetime:
        return datetime.fromtimestamp(pause.until, UTC)

    def has_delete_permission(self, request: HttpRequest, obj: LimitPause | None = None) -> bool:
        return request.user.has_perm("tools.delete_limitpause")


@admin.register(ToolResult)
class ToolResultAdmin(LookOnly[ToolResult]):
    """Results that tools have given, while they serve equal calls. A removed one is asked for anew."""

    list_display = ("tool", "workspace", "kept_until")
    list_select_related = ("workspace",)
    search_fields = ("tool",)
    paginator = BoundedPaginator

    @admin.display(description="kept until", ordering="until")
    def kept_until(self, result: ToolResult) -> datetime:
        return datetime.fromtimestamp(result.until, UTC)

    def has_delete_permission(self, request: HttpRequest, obj: ToolResult | None = None) -> bool:
        return request.user.has_perm("tools.delete_toolresult")
