"""Providers of models: the operator sees those of all workspaces, and mends them."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError

from agents.admin.base import ModelAdmin
from agents.models import Provider
from agents.services.errors import InvalidInput
from agents.services.providers import Wanted, check_name


class ProviderForm(forms.ModelForm):  # type: ignore[type-arg]
    """A provider, checked as everywhere else."""

    class Meta:
        model = Provider
        fields = ("workspace", "name", "kind", "base_url", "secret", "takes_schemas", "known_models", "note")

    def clean(self) -> dict[str, object]:
        cleaned = super().clean() or {}
        if not self.errors:
            given = {name: value for name, value in cleaned.items() if name not in ("workspace", "name")}
            known = given.pop("known_models") or {}
            try:
                check_name(cleaned["name"])
                if not isinstance(known, dict) or not all(isinstance(terms, dict) for terms in known.values()):
                    raise InvalidInput("This is an object of objects, by the names of models.", "models")
                Wanted(**given, models=known).check(cleaned["workspace"])
            except InvalidInput as error:
                raise ValidationError({error.field.replace("models", "known_models"): error.message}) from error
        return cleaned


@admin.register(Provider)
class ProviderAdmin(ModelAdmin[Provider]):
    """Providers of workspaces. Their keys are secrets of the workspace and named here, not shown."""

    form = ProviderForm
    list_display = ("name", "workspace", "kind", "base_url", "secret", "updated_at")
    list_filter = ("kind",)
    list_select_related = ("workspace",)
    search_fields = ("name", "base_url", "note")
    list_per_page = 50
