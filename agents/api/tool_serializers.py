"""The API's forms for tools, their limits and their secrets, and for what runs wait for."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.api.run_serializers import RunOut
from agents.api.serializers import AnyJSON, Moment, StrictSerializer
from agents.services.limits import MAX_NOTE, MOST
from tools.declared import in_words, limit_names
from tools.models import Limit, Unit
from tools.models.limit import DAY, MAX_NAME
from tools.registry import Tool


class SaidOut(serializers.Serializer[Any]):
    """One thing that a tool declares, in words."""

    what = serializers.CharField()
    words = serializers.CharField()


class ToolOut(serializers.Serializer[Any]):
    """A tool with all that it declares."""

    name = serializers.CharField()
    description = serializers.CharField()
    parameters = AnyJSON(source="schema")
    kind = serializers.CharField()
    effect = serializers.CharField()
    trust = serializers.CharField()
    approval = serializers.SerializerMethodField(help_text="never, always, when_tainted, or by a rule of the tool.")
    timeout = serializers.FloatField(help_text="Seconds for each attempt.")
    attempts = serializers.SerializerMethodField(help_text="At most so many; null if the workflow says.")
    limits = serializers.SerializerMethodField(help_text="The limits that its calls count for.")
    cache = serializers.FloatField(help_text="Seconds for which a result serves equal calls.")
    batch = serializers.SerializerMethodField(help_text="How many calls at most become one.")
    isolation = serializers.CharField()
    in_words = serializers.SerializerMethodField()

    def get_approval(self, tool: Tool) -> str:
        return tool.approval if isinstance(tool.approval, str) else "rule"

    def get_attempts(self, tool: Tool) -> int | None:
        return tool.retry.max_attempts if tool.retry else None

    def get_limits(self, tool: Tool) -> list[str]:
        return limit_names(tool)

    def get_batch(self, tool: Tool) -> int | None:
        return tool.batch.max_size if tool.batch else None

    def get_in_words(self, tool: Tool) -> list[dict[str, str]]:
        return [{"what": said.what, "words": said.words} for said in in_words(tool)]


class ToolPage(serializers.Serializer[Any]):
    """All tools of the instance."""

    items = ToolOut(many=True)


class LimitForm(StrictSerializer):
    """What a limit is to allow: so many in a period, so many at once, or both."""

    name = serializers.CharField(
        max_length=MAX_NAME,
        help_text="What calls count for: `tool:web_fetch`, `host:example.org`, `llm:openai`. One that ends in * stands "
        "for each name that begins so, each by itself.",
    )
    amount = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=1, max_value=MOST)
    period = serializers.FloatField(required=False, default=1.0, min_value=1, max_value=DAY, help_text="Seconds.")
    burst = serializers.IntegerField(
        required=False,
        default=1,
        min_value=1,
        max_value=MOST,
        help_text="So many may begin together after a rest; each beyond the first comes on top of the amount.",
    )
    unit = serializers.ChoiceField(choices=Unit.choices, required=False, default=Unit.CALLS)
    at_once = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=1, max_value=MOST)
    note = serializers.CharField(required=False, default="", allow_blank=True, max_length=MAX_NOTE)


class LimitUse(serializers.Serializer[Any]):
    """How much of a limit is in use now."""

    running = serializers.IntegerField(help_text="Calls that hold a permit.")
    waiting = serializers.IntegerField(help_text="Runs that are parked for it.")
    next_in = serializers.FloatField(help_text="Seconds after which a call that comes now could begin.")
    paused_for = serializers.FloatField(help_text="Seconds for which the other side wants to be left alone.")
    words = serializers.CharField()


class LimitOut(serializers.Serializer[Any]):
    """A limit. A shared one holds for all workspaces together and is the operator's."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    shared = serializers.SerializerMethodField()
    amount = serializers.IntegerField(allow_null=True)
    period = serializers.FloatField()
    burst = serializers.IntegerField()
    unit = serializers.CharField()
    at_once = serializers.IntegerField(allow_null=True)
    note = serializers.CharField()
    words = serializers.CharField()
    created_at = Moment()
    updated_at = Moment()

    def get_shared(self, limit: Limit) -> bool:
        return limit.workspace_id is None


class LimitFull(LimitOut):
    """A limit and its present use."""

    use = LimitUse()


class LimitPage(serializers.Serializer[Any]):
    """All limits that count in the workspace."""

    items = LimitFull(many=True)


class WaitOut(serializers.Serializer[Any]):
    """What a run waits for."""

    kind = serializers.CharField()
    name = serializers.CharField()
    due_at = Moment(allow_null=True)
    words = serializers.CharField()


class RunFull(RunOut):
    """A run and what it waits for."""

    waits = WaitOut(many=True)


class NewSecret(StrictSerializer):
    """A secret's value, and where requests of agents may send it."""

    value = serializers.CharField(trim_whitespace=False, write_only=True)
    hosts = serializers.ListField(child=serializers.CharField(max_length=300), required=False, default=list)
    note = serializers.CharField(required=False, default="", allow_blank=True)


class SecretOut(serializers.Serializer[Any]):
    """A secret without its value."""

    name = serializers.CharField()
    hosts = serializers.ListField(child=serializers.CharField())
    note = serializers.CharField()
    created_at = Moment()
    updated_at = Moment()


class SecretPage(serializers.Serializer[Any]):
    """All secrets of the workspace."""

    items = SecretOut(many=True)
