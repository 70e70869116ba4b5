"""The forms of webhooks in and out. What they mean is for the services to check."""

from __future__ import annotations

from typing import Any, Self

from django import forms

from agents.models import WebhookEndpoint, WebhookScheme, WebhookSource
from agents.services import webhook_endpoints as endpoints
from agents.services import webhook_sources as sources
from agents.services.webhook_deliveries import WHICH, Range
from agents.services.webhook_secrets import DAY, MAX_SECRET, ROTATION_HOURS
from agents.triggers.signatures import ALGORITHMS, BODY, ENCODINGS
from agents.web.agent_forms import JSONText, Lines

OPTIONS = {
    "header": "header",
    "algorithm": "algorithm",
    "encoding": "encoding",
    "before": "prefix",
    "signed": "signed",
    "timestamp_header": "timestamp_header",
}
"""Names of fields, and of the options they stand for: forms have a `prefix` of another kind."""
_OWN = ("event_name", "type_from", "id_from", "tolerance", "note")


def _choices(values: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(value, value) for value in values]


class SourceForm(forms.Form):
    """A source; its name, scheme and secret only when it is new."""

    name = forms.CharField(label="Name", max_length=40)
    scheme = forms.ChoiceField(label="Signed", choices=WebhookScheme.choices)
    secret = forms.CharField(label="Secret", required=False, max_length=MAX_SECRET, strip=False)
    event_name = forms.CharField(label="Name of its events", required=False, max_length=200)
    type_from = forms.CharField(label="What happened stands in", required=False, max_length=120)
    id_from = forms.CharField(label="The sender's id stands in", required=False, max_length=120)
    tolerance = forms.IntegerField(
        label="Seconds that its time may be off",
        initial=300,
        min_value=sources.TOLERANCES[0],
        max_value=sources.TOLERANCES[-1],
    )
    note = forms.CharField(label="What it is for", required=False, max_length=sources.MAX_NOTE)
    header = forms.CharField(label="Header", required=False, max_length=60)
    before = forms.CharField(label="Before the signature", required=False, max_length=sources.MAX_TEXT, strip=False)
    algorithm = forms.ChoiceField(label="Algorithm", required=False, choices=_choices(ALGORITHMS))
    encoding = forms.ChoiceField(label="Written in", required=False, choices=_choices(ENCODINGS))
    signed = forms.CharField(label="What is signed", required=False, max_length=sources.MAX_TEXT, initial=BODY)
    timestamp_header = forms.CharField(label="Header with the time", required=False, max_length=60)
    is_enabled = forms.BooleanField(label="Takes webhooks", required=False, initial=True)

    def __init__(self, *args: Any, source: WebhookSource | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._scheme = source.scheme if source is not None else ""
        if source is not None:
            for name in ("name", "scheme", "secret"):
                del self.fields[name]
        self.has_options = source is None or bool(source.options)
        if not self.has_options:
            for name in OPTIONS:
                del self.fields[name]

    @classmethod
    def of(cls, source: WebhookSource) -> Self:
        """Give the form as a source fills it."""
        filled = {name: getattr(source, name) for name in (*_OWN, "is_enabled")}
        options = {field: source.options.get(name) for field, name in OPTIONS.items()}
        return cls(source=source, initial={**filled, **(options if source.options else {})})

    def refuse(self, field: str, message: str) -> None:
        """Say what is wrong beside what it is about."""
        field = "before" if field == "prefix" else field
        self.add_error(field if field in self.fields else None, message)

    @property
    def scheme_given(self) -> str:
        return self._scheme or str(self.cleaned_data["scheme"])

    @property
    def wanted(self) -> sources.Wanted:
        """Give what was filled in; options count only where the scheme has some."""
        given = self.cleaned_data
        options = sources.Options()
        if self.scheme_given in (WebhookScheme.HMAC, WebhookScheme.TOKEN):
            options = sources.Options(**{name: given[field] for field, name in OPTIONS.items() if given.get(field)})
        own = {name: given[name] for name in _OWN}
        return sources.Wanted(options=options, is_enabled=given["is_enabled"], **own)


class EndpointForm(forms.Form):
    """An endpoint; its name and secret only when it is new."""

    name = forms.CharField(label="Name", max_length=40)
    url = forms.CharField(label="Address", max_length=endpoints.MAX_URL)
    events = Lines(label="Events", initial=["*"])
    filter = JSONText(label="Only if the data is like this", required=False)
    note = forms.CharField(label="What it is for", required=False, max_length=endpoints.MAX_NOTE)
    secret = forms.CharField(label="Secret", required=False, max_length=MAX_SECRET, strip=False)

    def __init__(self, *args: Any, endpoint: WebhookEndpoint | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("events", "filter"):
            self.fields[name].widget.attrs["rows"] = 3
        if endpoint is not None:
            del self.fields["name"]
            del self.fields["secret"]

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> Self:
        """Give the form as an endpoint fills it."""
        filled = {name: getattr(endpoint, name) for name in ("url", "events", "note")}
        return cls(endpoint=endpoint, initial={**filled, "filter": endpoint.filter or None})

    @property
    def wanted(self) -> endpoints.Wanted:
        """Give what was filled in."""
        given = self.cleaned_data
        filter_ = given["filter"] if given["filter"] is not None else {}
        return endpoints.Wanted(url=given["url"], events=tuple(given["events"]), filter=filter_, note=given["note"])


class RotationForm(forms.Form):
    """Another secret, and for how long the present one is good besides."""

    secret = forms.CharField(label="New secret", required=False, max_length=MAX_SECRET, strip=False)
    hours = forms.IntegerField(
        label="Hours for which the old one is good, too",
        initial=DAY,
        min_value=ROTATION_HOURS[0],
        max_value=ROTATION_HOURS[-1],
    )


class RangeForm(forms.Form):
    """What of an endpoint is sent once more; times are in the person's zone."""

    WORDS = (("failed", "what was given up"), ("all", "what has arrived, too"), ("missed", "what it has missed"))

    which = forms.ChoiceField(label="Send once more", choices=WORDS)
    since = forms.DateTimeField(label="From", widget=forms.DateTimeInput(attrs={"type": "datetime-local"}))
    until = forms.DateTimeField(
        label="Until", required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )

    @property
    def wanted(self) -> Range:
        """Give what was filled in."""
        given = self.cleaned_data
        return Range(since=given["since"], until=given["until"], which=given["which"])


assert {value for value, _ in RangeForm.WORDS} == set(WHICH)  # noqa: S101 (a page offers what there is)
