"""Runs and what they left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from agents.admin.base import LookOnly, pretty
from agents.models import Run, RunEvent, RunPermit, Step, User, Wait
from agents.services import runs as services
from agents.services.errors import ServiceError
from agents.services.outcomes import outcome_of
from agents.services.waits import waits_of
from agents.web import queries, wording

MAX_COUNT = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages of a large table: counting stops where nobody looks any more."""

    @cached_property
    def count(self) -> int:
        found: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return found.order_by()[:MAX_COUNT].count()


@admin.register(Run)
class RunAdmin(LookOnly[Run]):
    """All runs of all workspaces."""

    list_display = ("short_id", "state", "reason", "goal", "title", "workspace", "steps_done", "created_at", "time")
    list_display_links = ("short_id",)
    list_filter = ("status", "source", "tainted", "workspace")
    list_select_related = ("agent_version__agent", "workspace")
    search_fields = ("=id", "workflow", "agent_version__agent__name", "reason")
    search_help_text = "Id, workflow, agent, reason"
    ordering = ("-id",)
    paginator = BoundedPaginator
    actions = ("cancel", "retry")
    change_form_template = "admin/agents/run/change_form.html"
    fieldsets = (
        (None, {"fields": ("id", "workspace", "title", "workflow", "status", "reason", "wanted", "shown_on_page")}),
        ("Content", {"fields": ("input_json", "output_json", "error_json", "tags")}),
        ("Lease", {"fields": ("worker", "epoch", "wakes", "last_event", "priority", "rank", "suspect", "crashes")}),
        ("Trust", {"fields": ("tainted", "tools")}),
        ("Totals", {"fields": ("steps_done", "input_tokens", "output_tokens", "cost_microusd", "budget")}),
        ("Tree", {"fields": ("parent", "parent_key", "root", "depth"), "classes": ("collapse",)}),
        ("Fork", {"fields": ("forked_from", "fork"), "classes": ("collapse",)}),
        ("Origin", {"fields": ("created_by", "source", "idempotency_key", "created_at", "started_at", "finished_at")}),
    )

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Acting on runs needs the right to change them, although no field of theirs is ever changed by hand."""
        return request.user.has_perm("agents.change_run")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        return super().get_queryset(request).defer("output", "error")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a run with its steps and events, live while it goes on."""
        run = self.get_object(request, object_id)
        more: dict[str, Any] = {}
        if run is not None and self.has_view_permission(request, run):
            steps, hidden = queries.steps_of(run)
            events = RunEvent.objects.filter(run_id=run.id).order_by("-number")[:100]
            more = {"run": run, "steps": steps, "hidden": hidden, "events": events, "waits": waits_of(run)}
        return super().change_view(request, object_id, form_url, {**more, **(extra_context or {})})

    @admin.display(description="Run", ordering="id")
    def short_id(self, run: Run) -> str:
        return f"…{str(run.id)[-12:]}"

    @admin.display(description="Status", ordering="status")
    def state(self, run: Run) -> str:
        return wording.run_state(run).word

    @admin.display(description="Goal")
    def goal(self, run: Run) -> str:
        return run.goal[:90]

    @admin.display(description="Agent")
    def title(self, run: Run) -> str:
        return run.title

    @admin.display(description="Time")
    def time(self, run: Run) -> str:
        if run.started_at is None or run.finished_at is None:
            return "–"
        return wording.duration((run.finished_at - run.started_at).total_seconds())

    @admin.display(description="Page")
    def shown_on_page(self, run: Run) -> SafeString:
        return format_html('<a href="{}">run page</a>', reverse("web:run", args=(run.workspace.slug, run.id)))

    @admin.display(description="Input")
    def input_json(self, run: Run) -> str:
        return pretty(run.input)

    @admin.display(description="Output")
    def output_json(self, run: Run) -> str:
        return pretty(run.output)

    @admin.display(description="Error")
    def error_json(self, run: Run) -> str:
        return pretty(run.error)

    @admin.action(description="Cancel selected runs", permissions=["cancel"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[Run]) -> None:
        self._each(request, chosen, services.cancel_run, "cancelled or asked to stop")

    @admin.action(description="Retry selected failed runs", permissions=["cancel"])
    def retry(self, request: HttpRequest, chosen: QuerySet[Run]) -> None:
        self._each(request, chosen, services.retry_run, "queued again")

    def _each(self, request: HttpRequest, chosen: QuerySet[Run], verb: Callable[..., object], done: str) -> None:
        count = 0
        for run in chosen:
            try:
                verb(run, by=request.user if isinstance(request.user, User) else None)
            except ServiceError as error:
                self.message_user(request, f"{run.id}: {error.message}", messages.WARNING)
            else:
                count += 1
                self.log_change(request, run, done)
        self.message_user(request, f"{count} {done}.", messages.SUCCESS)


class OfRun(LookOnly[Any]):
    """A table of what belongs to runs: found by the run's id, newest first."""

    paginator = BoundedPaginator
    ordering = ("-id",)
    search_fields = ("=run__id",)
    search_help_text = "Id of the run"

    @admin.display(description="Run", ordering="run_id")
    def run_link(self, row: Any) -> SafeString:
        return format_html(
            '<a href="{}">…{}</a>', reverse("admin:agents_run_change", args=(row.run_id,)), str(row.run_id)[-12:]
        )


@admin.register(Step)
class StepAdmin(OfRun):
    """Steps: the checkpoints."""

    list_display = (
        "key",
        "run_link",
        "kind",
        "name",
        "status",
        "effect",
        "attempt",
        "started_at",
        "time",
    )
    list_filter = ("status", "kind", "effect", "superseded", "tainted")
    exclude = ("input", "outcome", "error", "attempts")
    readonly_fields = ("input_json", "outcome_json", "error_json", "attempts_json")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Step]:
        found: QuerySet[Step] = super().get_queryset(request)
        return found.defer("input", "outcome", "error", "attempts")

    @admin.display(description="Time")
    def time(self, step: Step) -> str:
        return wording.duration(step.seconds) or "–"

    @admin.display(description="Input")
    def input_json(self, step: Step) -> str:
        return pretty(step.input)

    @admin.display(description="Outcome")
    def outcome_json(self, step: Step) -> str:
        return pretty(outcome_of(step))

    @admin.display(description="Error")
    def error_json(self, step: Step) -> str:
        return pretty(step.error)

    @admin.display(description="Earlier attempts")
    def attempts_json(self, step: Step) -> str:
        return pretty(step.attempts)


@admin.register(RunEvent)
class RunEventAdmin(OfRun):
    """The runs' logs."""

    list_display = ("number", "run_link", "kind", "at", "short_data")
    list_filter = ("kind",)

    @admin.display(description="Data")
    def short_data(self, event: RunEvent) -> str:
        return str(event.data)[:120]


@admin.register(Wait)
class WaitAdmin(OfRun):
    """What parked runs wait for."""

    list_display = ("kind", "run_link", "key", "name", "due_at", "needed", "created_at")
    list_filter = ("kind",)


@admin.register(RunPermit)
class RunPermitAdmin(LookOnly[RunPermit]):
    """Places among the running runs, where their number is capped. Those of runs that have left hold no more."""

    list_display = ("run", "epoch", "workspace", "agent", "key", "granted_at")
    list_filter = ("workspace",)
    list_select_related = ("run", "run__agent_version__agent", "workspace", "agent")
    search_fields = ("=run__id", "key")
    search_help_text = "Id of the run, key"
    ordering = ("-granted_at",)
