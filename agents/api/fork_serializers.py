"""The API's forms for forks, and for what a fork, a retry or a resume would do."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.api.serializers import AnyJSON, StrictSerializer


class NewFork(StrictSerializer):
    """From where a run is forked, and what is edited: either what came out of the step, or the input."""

    step = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=500, help_text="Its key. Without it, all runs anew."
    )
    outcome = AnyJSON(
        required=False,
        allow_null=True,
        help_text="The step counts as done with this outcome. A bare text stands for a reply or a result of that text.",
    )
    input = AnyJSON(required=False, allow_null=True, help_text="The fork's input; what is reused stays what it is.")
    version = serializers.IntegerField(
        required=False, min_value=1, help_text="Another version of the run's agent for what runs from here on."
    )


class ForkQuery(serializers.Serializer[Any]):
    """What a fork would be from: a step, perhaps with its outcome edited."""

    step = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)
    edited = serializers.BooleanField(required=False, default=False, help_text="Whether the step's outcome is edited.")


class PreviewStep(serializers.Serializer[Any]):
    """A step that is reused or runs again."""

    key = serializers.CharField()
    kind = serializers.CharField()
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    status = serializers.CharField()
    effect = serializers.CharField()


class PreviewEffect(serializers.Serializer[Any]):
    """An effect outside that was had, or may have been had, and may be had again."""

    run = serializers.UUIDField(source="run_id", help_text="The run, or one below it.")
    key = serializers.CharField()
    name = serializers.CharField()
    effect = serializers.ChoiceField(choices=("idempotent", "unsafe"))
    status = serializers.CharField()


class PreviewOut(serializers.Serializer[Any]):
    """What would be reused, what would run again, and which effects that may have."""

    reused = PreviewStep(many=True)
    again = PreviewStep(many=True, help_text="What the run did that would be done anew, if the code comes to it.")
    edited = serializers.CharField(help_text="The step whose outcome is edited.")
    effects = PreviewEffect(many=True)
    more_effects = serializers.IntegerField(help_text="How many are not listed.")
    sub_runs = serializers.IntegerField(help_text="How many runs below would be started anew.")
