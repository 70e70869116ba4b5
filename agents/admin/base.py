"""What the pages of all tables have in common."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

M = TypeVar("M", bound=Model)

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline
else:
    # Generic for the type checker only: Django's own classes take no parameters.
    class _Generic:
        def __class_getitem__(cls, _models: object) -> type[Self]:
            return cls

    class ModelAdmin(_Generic, admin.ModelAdmin):
        """Django's, named with its model."""

    class TabularInline(_Generic, admin.TabularInline):
        """Django's, named with its models."""


MAX_JSON = 50_000


class LookOnly(ModelAdmin[M]):
    """A table to look at. What it holds is made by the product alone; here nothing is added, changed or removed."""

    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 200
    view_on_site = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


def pretty(value: Any) -> SafeString | str:
    """Show a JSON value for reading."""
    if value is None:
        return "–"
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return format_html('<pre class="json">{}</pre>', text[:MAX_JSON] + ("\n…" if len(text) > MAX_JSON else ""))
