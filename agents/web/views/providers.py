"""Providers of models: whom the workspace's agents can ask; administrators set its own and try them out."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import Provider, Role
from agents.services import providers as services
from agents.services.errors import InvalidInput, ServiceError
from agents.services.secrets import list_secrets
from agents.web.place import Place, act, in_workspace, render
from agents.web.provider_forms import ProviderSheet


@require_safe
@in_workspace()
def providers(request: HttpRequest, place: Place) -> HttpResponse:
    """List the workspace's providers."""
    return _list(request, place, ProviderSheet.empty(_secrets(place)))


@require_POST
@in_workspace(needs=Role.ADMIN)
def add(request: HttpRequest, place: Place) -> HttpResponse:
    """Make a provider."""
    sheet = ProviderSheet(request.POST, secrets=_secrets(place))

    def create() -> Provider:
        return services.create_provider(place.workspace, sheet.name, sheet.wanted, by=place.user)

    if _take(sheet, create):
        messages.success(request, f"The provider “{sheet.name}” is added: its models are named {sheet.name}:…")
        return redirect("web:provider", place.slug, sheet.name)
    return _list(request, place, sheet, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def change(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Change a provider."""
    provider = services.get_provider(place.workspace, name)
    is_sent = request.method == "POST"
    sheet = ProviderSheet(request.POST if is_sent else None, secrets=_secrets(place, provider), provider=provider)
    if is_sent and _take(sheet, lambda: services.change_provider(provider, sheet.wanted, by=place.user)):
        messages.success(request, f"The provider “{name}” is changed.")
        return redirect("web:provider", place.slug, name)
    context = {"provider": provider, "form": sheet.form, "rows": sheet.rows}
    response = render(request, place, "web/providers/provider.html", context)
    response.status_code = 422 if is_sent else 200
    return response


@require_POST
@in_workspace(needs=Role.ADMIN)
def remove(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Remove a provider."""
    provider = services.get_provider(place.workspace, name)
    act(request, f"The provider “{name}” was removed.", lambda: services.remove_provider(provider, by=place.user))
    return redirect("web:providers", place.slug)


@require_POST
@in_workspace(needs=Role.ADMIN)
def test(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Try a provider out and say what came back."""
    provider = services.get_provider(place.workspace, name)
    try:
        trial = services.try_provider(provider, model=request.POST.get("model", "").strip(), by=place.user)
    except ServiceError as error:
        messages.error(request, error.message)
    else:
        (messages.success if trial.ok else messages.error)(request, trial.words)
    return redirect("web:provider", place.slug, name)


def _list(request: HttpRequest, place: Place, sheet: ProviderSheet, status: int = 200) -> HttpResponse:
    context = {
        "providers": services.list_providers(place.workspace),
        "form": sheet.form,
        "rows": sheet.rows,
        "by_operator": [name for name, is_set in _of_the_operator() if is_set],
    }
    response = render(request, place, "web/providers/page.html", context)
    response.status_code = status
    return response


def _of_the_operator() -> list[tuple[str, bool]]:
    return [
        ("openai", bool(settings.OPENAI_API_KEY or settings.OPENAI_BASE_URL)),
        ("anthropic", bool(settings.ANTHROPIC_API_KEY or settings.ANTHROPIC_BASE_URL)),
    ]


def _secrets(place: Place, provider: Provider | None = None) -> list[str]:
    """Give the names to choose from; one that a provider names and that is gone stays to be seen."""
    names = set(list_secrets(place.workspace).values_list("name", flat=True)) if place.can_manage else set()
    return sorted(names | {provider.secret} if provider and provider.secret else names)


def _take(sheet: ProviderSheet, action: Callable[[], Provider]) -> bool:
    """Carry out what the form says; True when it was done, else the form says what is wrong."""
    if not sheet.is_valid():
        return False
    try:
        action()
    except InvalidInput as error:
        sheet.refuse(error.field, error.message)
        return False
    return True
