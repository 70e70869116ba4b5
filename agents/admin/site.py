"""The site of the administration: its front page with the queue and the workers, its log-in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse

from agents.web import queries

HIDDEN_APPS = ("django_q", "knox")
"""What these tables hold is shown by ours, or runs what its rows name: nothing to be edited by hand."""


class Site(admin.AdminSite):
    """Django's administration with our front page, our log-in and without the queue library's own pages."""

    site_header = "agentsite administration"
    site_title = "agentsite"
    index_title = "Operations"
    index_template = "admin/operations.html"

    def register(self, model_or_iterable: type[Model] | Iterable[type[Model]], *args: Any, **options: Any) -> None:
        """Register models, but for those of the hidden apps."""
        models = [model_or_iterable] if isinstance(model_or_iterable, type) else list(model_or_iterable)
        shown = [model for model in models if model._meta.app_label not in HIDDEN_APPS]
        if shown:
            super().register(shown, *args, **options)

    @property
    def urls(self) -> tuple[list[URLResolver | URLPattern], str, str]:
        """Give the site's routes and the front page's live part."""
        patterns, app, name = super().urls
        panel = path("panel/", self.admin_view(self.panel), name="panel")
        return [panel, *patterns], app, name

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the queue and the workers above the tables."""
        return super().index(request, {**_panel(), **(extra_context or {})})

    def panel(self, request: HttpRequest) -> HttpResponse:
        """Give the queue and the workers anew, for the front page's script."""
        return TemplateResponse(request, "admin/panel.html", _panel())

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Lead to the log-in of the pages: there is one place where passwords are asked for, and it is throttled."""
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))


def _panel() -> dict[str, Any]:
    return {"queue": queries.queue_state(), "living": queries.living_workers(), "gone": queries.gone_workers()}
