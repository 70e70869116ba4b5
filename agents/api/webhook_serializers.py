"""The API's forms for webhooks in and out."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.api.serializers import AnyJSON, Moment, StrictSerializer
from agents.models import DeliveryStatus, WebhookScheme, WebhookSource
from agents.services.webhook_deliveries import WHICH
from agents.services.webhook_endpoints import MAX_EVENTS, MAX_URL
from agents.services.webhook_secrets import DAY, MAX_SECRET, ROTATION_HOURS
from agents.services.webhook_sources import MAX_NOTE, MAX_TEXT, TOLERANCES, Options, Wanted, hook_url
from agents.triggers.signatures import ALGORITHMS, BODY, ENCODINGS

SHOWN_ONCE = "Given in this one answer and never again."


def _text(length: int, help_text: str = "", **more: Any) -> serializers.CharField:
    return serializers.CharField(
        required=False, default="", allow_blank=True, max_length=length, help_text=help_text, **more
    )


class OptionsForm(StrictSerializer):
    """How webhooks of the schemes hmac and token are signed."""

    header = _text(60, "The header that carries the signature, or the token.")
    algorithm = serializers.ChoiceField(choices=ALGORITHMS, required=False, default="sha256")
    encoding = serializers.ChoiceField(choices=ENCODINGS, required=False, default="hex")
    prefix = _text(MAX_TEXT, "What stands before the signature in its header, as `sha256=`.", trim_whitespace=False)
    signed = serializers.CharField(
        required=False, default=BODY, max_length=MAX_TEXT, help_text="What is signed, as `{timestamp}.{body}`."
    )
    timestamp_header = _text(60, "The header with the time, in seconds since 1970.")


class SourceForm(StrictSerializer):
    """All of a source but its name and its scheme. What is left out is as the scheme has it."""

    options = OptionsForm(required=False, default=dict)
    tolerance = serializers.IntegerField(
        required=False,
        default=300,
        min_value=TOLERANCES[0],
        max_value=TOLERANCES[-1],
        help_text="Seconds that a signature's time may be off.",
    )
    event_name = _text(200, "The name of the events; `{type}` in it is what `type_from` gives, as in `github.{type}`.")
    type_from = _text(120, "Where the sender says what happened: `header:X-Event`, or `body:data.type`.")
    id_from = _text(120, "Where the sender's id of the webhook is found, by which one that comes twice is known.")
    enabled = serializers.BooleanField(required=False, default=True)
    note = _text(MAX_NOTE)


class NewSource(SourceForm):
    """A source of webhooks."""

    name = serializers.CharField(max_length=40)
    scheme = serializers.ChoiceField(choices=WebhookScheme.choices)
    secret = _text(MAX_SECRET, "If the sender gives it; by default one is made.", trim_whitespace=False)


class SourceOut(serializers.Serializer[Any]):
    """A source of webhooks. Its secret is never given; its address only to administrators."""

    name = serializers.CharField()
    scheme = serializers.ChoiceField(choices=WebhookScheme.choices)
    url = serializers.SerializerMethodField(help_text="Where to send to. Null for those who do not administer.")
    options = AnyJSON()
    tolerance = serializers.IntegerField()
    event_name = serializers.CharField()
    type_from = serializers.CharField()
    id_from = serializers.CharField()
    enabled = serializers.BooleanField(source="is_enabled")
    note = serializers.CharField()
    previous_until = Moment(allow_null=True, help_text="Until when the secret before this one is good, too.")
    accepted_at = Moment(allow_null=True, help_text="About when the last one was accepted.")
    refused = serializers.IntegerField(help_text="How many were refused for their signature.")
    refused_at = Moment(allow_null=True)
    refusal = serializers.CharField(help_text="Why the last one was refused.")
    created_at = Moment()
    updated_at = Moment()

    def get_url(self, source: WebhookSource) -> str | None:
        return hook_url(source) if self.context.get("manages") else None


class SourceMade(SourceOut):
    """A source that was just made, with its secret."""

    secret = serializers.SerializerMethodField(help_text=SHOWN_ONCE)

    def get_secret(self, source: WebhookSource) -> str:
        return str(self.context["secret"])


class SourcePage(serializers.Serializer[Any]):
    """All sources of the workspace."""

    items = SourceOut(many=True)


class RotationForm(StrictSerializer):
    """Another secret, and for how long the present one is good besides."""

    secret = _text(MAX_SECRET, "By default one is made.", trim_whitespace=False)
    hours = serializers.IntegerField(
        required=False, default=DAY, min_value=ROTATION_HOURS[0], max_value=ROTATION_HOURS[-1]
    )


class SecretMade(serializers.Serializer[Any]):
    """A secret that was just made."""

    secret = serializers.CharField(help_text=SHOWN_ONCE)


class TestForm(StrictSerializer):
    """What the test says."""

    data = AnyJSON(required=False, default=None)  # type: ignore[assignment]  # a field, not the property of that name


class TestOut(serializers.Serializer[Any]):
    """The event that a test became."""

    event = serializers.IntegerField()
    name = serializers.CharField()


class EndpointForm(StrictSerializer):
    """All of an endpoint but its name."""

    url = serializers.CharField(max_length=MAX_URL)
    events = serializers.ListField(
        child=serializers.CharField(max_length=200),
        required=False,
        default=lambda: ["*"],
        min_length=1,
        max_length=MAX_EVENTS,
        help_text="Names of events: `order.paid`, `order.*`, or `*` for all.",
    )
    filter = AnyJSON(required=False, default=dict, help_text="What the data of an event must be like; {}: anything.")
    note = _text(MAX_NOTE)


class NewEndpoint(EndpointForm):
    """An endpoint."""

    name = serializers.CharField(max_length=40)
    secret = _text(MAX_SECRET, "By default one is made, as Standard Webhooks want it.", trim_whitespace=False)


class EndpointOut(serializers.Serializer[Any]):
    """Where events are sent to. Its secret is never given."""

    name = serializers.CharField()
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    filter = AnyJSON()
    note = serializers.CharField()
    disabled = serializers.CharField(help_text="Why nothing is sent to it; empty while it is enabled.")
    disabled_at = Moment(allow_null=True)
    failing_since = Moment(allow_null=True, help_text="Since when nothing but failures were answered.")
    previous_until = Moment(allow_null=True, help_text="Until when the secret before this one signs, too.")
    created_at = Moment()
    updated_at = Moment()


class EndpointMade(EndpointOut):
    """An endpoint that was just made, with its secret."""

    secret = serializers.SerializerMethodField(help_text=SHOWN_ONCE)

    def get_secret(self, endpoint: object) -> str:
        return str(self.context["secret"])


class EndpointPage(serializers.Serializer[Any]):
    """All endpoints of the workspace."""

    items = EndpointOut(many=True)


class SwitchForm(StrictSerializer):
    """On or off."""

    enabled = serializers.BooleanField()


class RangeForm(StrictSerializer):
    """What of an endpoint is sent once more: what happened from `since` up to `until`, by default up to now."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField(required=False, allow_null=True, default=None)
    which = serializers.ChoiceField(
        choices=WHICH,
        required=False,
        default="failed",
        help_text="failed: what was given up; all: what has arrived, too; missed: what was never on its way.",
    )


class ReplayOut(serializers.Serializer[Any]):
    """How many are sent once more."""

    count = serializers.IntegerField()


class DeliveryOut(serializers.Serializer[Any]):
    """An event on its way to an endpoint."""

    id = serializers.UUIDField()
    endpoint = serializers.CharField(source="endpoint.name")
    event = serializers.IntegerField(source="event_id")
    event_name = serializers.CharField()
    message_id = serializers.CharField(help_text="The `webhook-id`, the same in each attempt and each replay.")
    status = serializers.ChoiceField(choices=DeliveryStatus.choices)
    reason = serializers.CharField()
    attempts = serializers.IntegerField(help_text="Since it was last put on its way.")
    due_at = Moment(help_text="When the next attempt is made, while it is pending.")
    created_at = Moment()
    ended_at = Moment(allow_null=True)


class AttemptOut(serializers.Serializer[Any]):
    """One attempt."""

    at = Moment()
    seconds = serializers.FloatField()
    status = serializers.IntegerField(allow_null=True, help_text="What was answered; null: nothing was.")
    answer = serializers.CharField(help_text="The first kilobyte of the answer.")
    error = serializers.CharField()


class DeliveryFull(DeliveryOut):
    """A delivery with what is sent and what was answered."""

    body = serializers.CharField()
    tries = AttemptOut(many=True)


class DeliveryPage(serializers.Serializer[Any]):
    """A page of deliveries, the newest first."""

    items = DeliveryOut(many=True)
    next = serializers.CharField(allow_null=True)


def read_wanted(given: dict[str, Any]) -> Wanted:
    """Make of a checked body what a source is to be."""
    names = ("tolerance", "event_name", "type_from", "id_from", "note")
    options = Options(**given["options"]) if given["options"] else Options()
    return Wanted(options=options, is_enabled=given["enabled"], **{name: given[name] for name in names})
