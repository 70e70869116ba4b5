"""Agents, their versions, and documents."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from agents.admin.base import LookOnly
from agents.admin.runs import BoundedPaginator
from agents.models import Agent, AgentDraft, AgentVersion, Document, Passage
from agents.web import wording


@admin.register(Agent)
class AgentAdmin(LookOnly[Agent]):
    """Agents; what they do is in their versions."""

    list_display = ("name", "workspace", "current", "description", "archived_at")
    list_filter = ("workspace",)
    list_select_related = ("workspace", "current__agent")
    search_fields = ("name", "description")


@admin.register(AgentVersion)
class AgentVersionAdmin(LookOnly[AgentVersion]):
    """Versions: never changed once published, since runs are pinned to them."""

    list_display = ("agent", "number", "workflow", "model", "tools", "note", "created_by", "created_at")
    list_select_related = ("agent", "created_by")
    search_fields = ("agent__name", "note", "instructions")


@admin.register(AgentDraft)
class AgentDraftAdmin(LookOnly[AgentDraft]):
    """Drafts: what agents are to become once it is published."""

    list_display = ("agent", "revision", "edited_by", "edited_at")
    list_select_related = ("agent", "edited_by")
    search_fields = ("agent__name",)


@admin.register(Document)
class DocumentAdmin(LookOnly[Document]):
    """Documents that agents search."""

    list_display = ("title", "workspace", "url", "shown_size", "created_by", "created_at")
    list_filter = ("workspace",)
    list_select_related = ("workspace", "created_by")
    search_fields = ("title", "url")
    paginator = BoundedPaginator

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        return super().get_queryset(request).defer("text")

    @admin.display(description="Size", ordering="size")
    def shown_size(self, document: Document) -> str:
        return wording.size(document.size)


@admin.register(Passage)
class PassageAdmin(LookOnly[Passage]):
    """Passages of documents, as the search finds them."""

    list_display = ("document", "number", "start", "end")
    list_select_related = ("document",)
    search_fields = ("document__title",)
    paginator = BoundedPaginator
