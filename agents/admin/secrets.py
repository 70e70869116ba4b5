"""The tables of the tools: secrets, whose values are nowhere to be seen, and vectors."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from agents.admin.base import LookOnly
from agents.admin.runs import BoundedPaginator
from tools.models import PassageVector, Secret


@admin.register(Secret)
class SecretAdmin(LookOnly[Secret]):
    """Secrets of workspaces: they can be removed here, and set on their page, over the API and by the command."""

    list_display = ("name", "workspace", "hosts", "note", "created_by", "updated_at")
    list_filter = ("workspace",)
    list_select_related = ("workspace", "created_by")
    search_fields = ("name", "note")
    exclude = ("token",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Secret]:
        return super().get_queryset(request).defer("token")

    def has_delete_permission(self, request: HttpRequest, obj: Secret | None = None) -> bool:
        return request.user.has_perm("tools.delete_secret")


@admin.register(PassageVector)
class PassageVectorAdmin(LookOnly[PassageVector]):
    """Passages as vectors, as a search by likeness compares them."""

    list_display = ("passage", "workspace", "embedder")
    list_filter = ("embedder",)
    list_select_related = ("passage", "workspace")
    exclude = ("vector",)
    search_fields = ("embedder",)
    paginator = BoundedPaginator

    def get_queryset(self, request: HttpRequest) -> QuerySet[PassageVector]:
        return super().get_queryset(request).defer("vector", "passage__text", "passage__terms")
