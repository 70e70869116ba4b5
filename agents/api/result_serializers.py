"""What the API gives of the inputs of a map."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.api.serializers import AnyJSON
from agents.engine.windows import number_of
from agents.models import Run, RunStatus


class ResultQuery(serializers.Serializer[Any]):
    """Which results to list."""

    status = serializers.ChoiceField(choices=RunStatus.choices, required=False)


class ResultOut(serializers.Serializer[Any]):
    """What has become of one input. One that is tried again is listed once for each time, the last time last."""

    number = serializers.SerializerMethodField(help_text="The input's, counted from 0.")
    run = serializers.UUIDField(source="pk")
    status = serializers.ChoiceField(choices=RunStatus.choices)
    output = AnyJSON()
    error = AnyJSON()

    def get_number(self, run: Run) -> int:
        return number_of(run.parent_key)


class ResultPage(serializers.Serializer[Any]):
    """How far a run has come with its inputs, and a page of what has become of them, in their order."""

    inputs = serializers.IntegerField(allow_null=True, help_text="How many there are; null if the workflow is silent.")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Sub-runs by status.")
    items = ResultOut(many=True)
    next = serializers.CharField(allow_null=True)
