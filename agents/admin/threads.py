"""Threads and what is said in them."""

from __future__ import annotations

from django.contrib import admin

from agents.admin.base import LookOnly
from agents.models import Thread, ThreadMessage


@admin.register(Thread)
class ThreadAdmin(LookOnly[Thread]):
    """Conversations of all workspaces."""

    list_display = ("__str__", "workspace", "agent", "policy", "created_by", "created_at")
    list_filter = ("policy", "workspace")
    list_select_related = ("workspace", "agent", "created_by")
    search_fields = ("=id", "title", "agent__name")
    search_help_text = "Id, title, agent"
    ordering = ("-id",)


@admin.register(ThreadMessage)
class ThreadMessageAdmin(LookOnly[ThreadMessage]):
    """What people said, each with its run."""

    list_display = ("thread", "number", "said", "status", "created_by", "created_at")
    list_select_related = ("thread", "run", "created_by")
    search_fields = ("=run__id", "=thread__id", "text")
    search_help_text = "Id of the thread or the run, text"
    ordering = ("-id",)

    @admin.display(description="Said")
    def said(self, message: ThreadMessage) -> str:
        return message.text[:90]

    @admin.display(description="Status")
    def status(self, message: ThreadMessage) -> str:
        return message.run.get_status_display()
