"""Secrets: which there are. Their values are nowhere to be seen."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from agents.admin.base import LookOnly
from tools.models import Secret


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
