"""The engine's other tables: told, streamed, kept, made; and who works."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from agents.admin.base import LookOnly
from agents.admin.runs import BoundedPaginator, OfRun
from agents.models import Artifact, Delivery, Inbox, LargeOutcome, Partial, ProcessCall, Tree, Worker
from agents.services.artifacts import open_file
from agents.services.errors import ServiceError
from agents.services.tasks import put_back_task
from agents.web import wording
from agents.web.downloads import Download


@admin.register(Inbox)
class InboxAdmin(OfRun):
    """What others told runs."""

    list_display = ("name", "run_link", "token", "created_at", "consumed_at")
    list_filter = (("consumed_at", admin.EmptyFieldListFilter),)


@admin.register(Partial)
class PartialAdmin(OfRun):
    """Text of steps that are still running."""

    list_display = ("key", "run_link", "attempt", "number")


@admin.register(LargeOutcome)
class LargeOutcomeAdmin(OfRun):
    """Outcomes too large for their step's row."""

    list_display = ("id", "run_link")
    exclude = ("data",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("data")


@admin.register(Artifact)
class ArtifactAdmin(OfRun):
    """Files that runs made."""

    list_display = ("name", "run_link", "workspace", "media_type", "shown_size", "content", "created_at")
    list_select_related = ("workspace",)
    readonly_fields = ("content",)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.download)
        return [path("<uuid:artifact_id>/content/", view, name="agents_artifact_content"), *super().get_urls()]

    def download(self, request: HttpRequest, artifact_id: UUID) -> HttpResponseBase:
        """Give the content of a file, to be saved."""
        artifact = self.get_object(request, str(artifact_id))
        if artifact is None or not self.has_view_permission(request, artifact):
            raise Http404
        try:
            return Download(request, open_file(artifact))
        except ServiceError as error:
            raise Http404(error.message) from error

    @admin.display(description="Content")
    def content(self, artifact: Artifact) -> SafeString:
        return format_html('<a href="{}">download</a>', reverse("admin:agents_artifact_content", args=(artifact.pk,)))

    @admin.display(description="Size", ordering="size")
    def shown_size(self, artifact: Artifact) -> str:
        return wording.size(artifact.size)


@admin.register(ProcessCall)
class ProcessCallAdmin(OfRun):
    """Tool calls that are executed in processes of their own, or wait for one."""

    list_display = ("tool", "run_link", "attempt", "host", "queued_at", "started_at")
    list_filter = ("tool",)


@admin.register(Tree)
class TreeAdmin(LookOnly[Tree]):
    """What the runs of trees with caps may take beyond what is recorded, by worker."""

    list_display = ("root_id", "holds")
    list_select_related = ("root",)
    search_fields = ("root__workflow",)
    paginator = BoundedPaginator


@admin.register(Worker)
class WorkerAdmin(LookOnly[Worker]):
    """Worker processes, those that are gone too."""

    list_display = ("name", "state", "queue", "host", "pid", "slots_taken", "memory", "heartbeat_at", "started_at")
    list_filter = ("state", "queue")
    search_fields = ("name", "host")
    ordering = ("-id",)
    paginator = BoundedPaginator

    @admin.display(description="Slots")
    def slots_taken(self, worker: Worker) -> str:
        return f"{worker.busy} / {worker.slots}"

    @admin.display(description="Memory", ordering="rss_bytes")
    def memory(self, worker: Worker) -> str:
        return wording.size(worker.rss_bytes)


@admin.register(Delivery)
class DeliveryAdmin(LookOnly[Delivery]):
    """Ordinary tasks that are being worked on, and those that were set aside."""

    list_display = ("__str__", "queue", "count", "reason", "delivered_at", "set_aside_at")
    list_filter = (("set_aside_at", admin.EmptyFieldListFilter), "queue")
    search_fields = ("name", "reason")
    # What a task was given may be anything; it is for its function alone.
    exclude = ("payload",)
    paginator = BoundedPaginator
    actions = ("put_back",)

    def has_queue_permission(self, request: HttpRequest) -> bool:
        """Queueing a task again needs the right to change it, although no field is ever changed by hand."""
        return request.user.has_perm("agents.change_delivery")

    @admin.action(description="Queue selected tasks again", permissions=["queue"])
    def put_back(self, request: HttpRequest, chosen: QuerySet[Delivery]) -> None:
        count = 0
        for delivery in chosen:
            try:
                put_back_task(delivery)
            except ServiceError as error:
                self.message_user(request, f"{delivery}: {error.message}", messages.WARNING)
            else:
                count += 1
                self.log_change(request, delivery, "queued again")
        self.message_user(request, f"{count} queued again.", messages.SUCCESS)
