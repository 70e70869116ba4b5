"""The caps of a workspace, as the API takes and shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.api.run_serializers import BudgetForm
from agents.services.run_caps import MOST_RUNNING


class CapsForm(BudgetForm):
    """All caps of a workspace: of each tree of its runs, and of its runs at work. What is absent is not capped."""

    max_running = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=MOST_RUNNING
    )


class RunningCapOut(serializers.Serializer[Any]):
    """A cap on running runs with its use; without an agent it is the workspace's."""

    agent = serializers.CharField(allow_blank=True)
    key = serializers.CharField(allow_blank=True, help_text="field=value of the input, where that is counted by itself")
    most = serializers.IntegerField()
    running = serializers.IntegerField()
    waiting = serializers.IntegerField()
    words = serializers.CharField()


class CapsOut(serializers.Serializer[Any]):
    """The caps of a workspace, and how far those on running runs are used."""

    caps = serializers.DictField(child=serializers.FloatField(), help_text="Of each tree of runs, by name.")
    max_running = serializers.IntegerField(allow_null=True)
    running = RunningCapOut(many=True)
