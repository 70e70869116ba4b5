"""The API's forms for trees of runs."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.api.serializers import Moment
from agents.models import Run, RunStatus

MAX_GOAL = 300


class TreeRun(serializers.Serializer[Any]):
    """A run of a tree, in short."""

    id = serializers.UUIDField()
    parent = serializers.UUIDField(source="parent_id", allow_null=True)  # type: ignore[assignment]
    parent_key = serializers.CharField(help_text="The step of the run above that started it.")
    depth = serializers.IntegerField()
    title = serializers.CharField(help_text="Its agent with the version, or its workflow.")
    goal = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=RunStatus.choices)
    reason = serializers.CharField(help_text="What it waits for, or why it failed.")
    steps_done = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cost_microusd = serializers.IntegerField()
    is_priced = serializers.BooleanField(help_text="Whether all prices are known.")
    created_at = Moment()
    finished_at = Moment(allow_null=True)

    def get_goal(self, run: Run) -> str:
        return run.goal[:MAX_GOAL]


class CapUseOut(serializers.Serializer[Any]):
    """How much of a cap is used, in its own unit."""

    name = serializers.ChoiceField(choices=("steps", "depth", "children", "seconds", "tokens", "usd"))
    used = serializers.FloatField()
    most = serializers.FloatField()


class TakenOut(serializers.Serializer[Any]):
    """What all runs of a tree have taken together."""

    steps = serializers.IntegerField()
    children = serializers.IntegerField()
    tokens = serializers.IntegerField()
    cost_microusd = serializers.IntegerField(source="microusd")


class TreeOut(serializers.Serializer[Any]):
    """The tree that a run belongs to."""

    runs = TreeRun(many=True, help_text="Each after the one that started it; those nearest to the top, at most.")
    hidden = serializers.IntegerField(help_text="How many runs are not listed.")
    children = serializers.IntegerField(help_text="Sub-runs in all.")
    ended = serializers.IntegerField(help_text="How many of the sub-runs have ended.")
    taken = TakenOut()
    is_priced = serializers.BooleanField(help_text="Whether all prices are known: the cost is all that they cost.")
    caps = CapUseOut(many=True, source="uses", help_text="The caps that were set for the tree.")
