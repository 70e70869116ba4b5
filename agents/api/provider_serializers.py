"""The API's forms for providers of models."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.api.serializers import Moment, StrictSerializer
from agents.models import ProviderKind
from agents.services.providers import CONTEXTS, DEAREST, MAX_MODEL, MAX_NOTE


class ModelTerms(StrictSerializer):
    """What is known of a model: prices in US dollars per million tokens, and how many tokens it takes."""

    input = serializers.FloatField(required=False, min_value=0, max_value=DEAREST)
    output = serializers.FloatField(required=False, min_value=0, max_value=DEAREST)
    cached = serializers.FloatField(
        required=False, min_value=0, max_value=DEAREST, help_text="Of what the provider's cache already had."
    )
    context = serializers.IntegerField(  # type: ignore[assignment]  # the base class has a `context` of another kind
        required=False, min_value=CONTEXTS[0], max_value=CONTEXTS[-1]
    )


class ProviderForm(StrictSerializer):
    """All of a provider but its name."""

    kind = serializers.ChoiceField(choices=ProviderKind.choices)
    base_url = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=500,
        help_text="Where it is found, as in https://models.example.org/v1; empty: OpenAI's or Anthropic's own address.",
    )
    secret = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=60,
        help_text="The name of the workspace's secret that is the key.",
    )
    takes_schemas = serializers.BooleanField(
        required=False,
        default=False,
        help_text="A compatible address takes the JSON schema of an answer along with the request.",
    )
    models = serializers.DictField(
        child=ModelTerms(), required=False, default=dict, help_text="By the model's part of the name."
    )
    note = serializers.CharField(required=False, default="", allow_blank=True, max_length=MAX_NOTE)


class NewProvider(ProviderForm):
    """A provider. Its name, with a colon, is what the names of its models begin with."""

    name = serializers.CharField(max_length=40)


class ProviderOut(serializers.Serializer[Any]):
    """A provider. Its key is named, never given."""

    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=ProviderKind.choices)
    base_url = serializers.CharField()
    secret = serializers.CharField()
    takes_schemas = serializers.BooleanField()
    models = serializers.DictField(child=ModelTerms(), source="known_models")
    note = serializers.CharField()
    created_at = Moment()
    updated_at = Moment()


class ProviderPage(serializers.Serializer[Any]):
    """All providers of the workspace's own."""

    items = ProviderOut(many=True)


class TrialForm(StrictSerializer):
    """Which model to ask."""

    model = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=MAX_MODEL,
        help_text="The model's part of the name; by default the first of the provider's table.",
    )


class TrialOut(serializers.Serializer[Any]):
    """What came of asking."""

    ok = serializers.BooleanField()
    model = serializers.CharField()
    words = serializers.CharField()
    seconds = serializers.FloatField()
