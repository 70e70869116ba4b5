"""The form of a provider, and the table of its models below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from django import forms

from agents.models import Provider, ProviderKind
from agents.services.providers import CONTEXTS, DEAREST, MAX_MODEL, MAX_NOTE, Wanted

EMPTY_ROWS = 2


class ProviderForm(forms.Form):
    """What a provider is; its name only when it is new."""

    name = forms.CharField(label="Name", max_length=40)
    kind = forms.ChoiceField(label="Protocol", choices=ProviderKind.choices)
    base_url = forms.CharField(label="Address", required=False, max_length=500)
    secret = forms.ChoiceField(label="Key", required=False)
    takes_schemas = forms.BooleanField(label="Takes the form of answers along", required=False)
    note = forms.CharField(label="What it is for", required=False, max_length=MAX_NOTE)

    def __init__(self, *args: Any, secrets: list[str], is_new: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        secret = self.fields["secret"]
        assert isinstance(secret, forms.ChoiceField)  # noqa: S101 (declared above)
        secret.choices = [("", "none"), *((name, name) for name in secrets)]
        if not is_new:
            del self.fields["name"]


class ModelRow(forms.Form):
    """What is known of one model; a row without a name counts for nothing."""

    model = forms.CharField(label="Model", required=False, max_length=MAX_MODEL)
    input = forms.FloatField(label="$ in", required=False, min_value=0, max_value=DEAREST)
    output = forms.FloatField(label="$ out", required=False, min_value=0, max_value=DEAREST)
    cached = forms.FloatField(label="$ cached", required=False, min_value=0, max_value=DEAREST)
    context = forms.IntegerField(label="Tokens", required=False, min_value=CONTEXTS[0], max_value=CONTEXTS[-1])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not cleaned.get("model") and any(cleaned.get(name) is not None for name in TERMS):
            self.add_error("model", "Name the model.")
        return cleaned


OWN = ("kind", "base_url", "secret", "takes_schemas", "note")
TERMS = ("input", "output", "cached", "context")
ModelRows = forms.formset_factory(ModelRow, extra=EMPTY_ROWS, max_num=200, absolute_max=250)


class ProviderSheet:
    """The form and the table of models, read and shown together."""

    def __init__(self, data: Mapping[str, Any] | None, *, secrets: list[str], provider: Provider | None = None) -> None:
        initial, rows = {}, []
        if provider is not None:
            initial = {name: getattr(provider, name) for name in OWN}
            rows = [{"model": name, **known} for name, known in sorted(provider.known_models.items())]
        self.form = ProviderForm(data, secrets=secrets, is_new=provider is None, initial=initial)
        self.rows = ModelRows(data, initial=rows, prefix="models")

    @classmethod
    def empty(cls, secrets: list[str]) -> Self:
        """Give the form of a new provider."""
        return cls(None, secrets=secrets)

    def is_valid(self) -> bool:
        """Whether both can be used."""
        return all([self.form.is_valid(), self.rows.is_valid()])

    @property
    def name(self) -> str:
        return str(self.form.cleaned_data["name"])

    @property
    def wanted(self) -> Wanted:
        """Give what was filled in."""
        given = {name: value for name, value in self.form.cleaned_data.items() if name != "name"}
        named = (row.cleaned_data for row in self.rows if row.cleaned_data.get("model"))
        models = {row["model"]: {name: row[name] for name in TERMS if row.get(name) is not None} for row in named}
        return Wanted(**given, models=models)

    def refuse(self, field: str, message: str) -> None:
        """Say what is wrong beside what it is about."""
        self.form.add_error(field if field in self.form.fields else None, message)
