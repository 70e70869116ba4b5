"""The engine's other tables: told, streamed, kept, made; and who works."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from agents.admin.base import LookOnly
from agents.admin.runs import BoundedPaginator, OfRun
from agents.models import Artifact, Inbox, LargeOutcome, Partial, Worker
from agents.web import wording


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

    list_display = ("name", "run_link", "workspace", "media_type", "shown_size", "created_at")
    list_select_related = ("workspace",)

    @admin.display(description="Size", ordering="size")
    def shown_size(self, artifact: Artifact) -> str:
        return wording.size(artifact.size)


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
