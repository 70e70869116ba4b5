"""Questions of runs to people, as the API shows them, and what people decide."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.api.serializers import AnyJSON, Moment, StrictSerializer
from agents.models import ApprovalKind, ApprovalPolicy, ApprovalStatus


class ApprovalPolicyForm(StrictSerializer):
    """Which calls with an effect wait for a person, and for how many hours."""

    policy = serializers.ChoiceField(choices=ApprovalPolicy.choices, source="approval_policy")
    hours = serializers.IntegerField(min_value=1, source="approval_hours")


class ApprovalQuery(serializers.Serializer[Any]):
    """Which questions to list."""

    status = serializers.ChoiceField(choices=ApprovalStatus.choices, required=False)
    run = serializers.UUIDField(required=False)


class ApprovalOut(serializers.Serializer[Any]):
    """A question of a run to a person: whether a call may be made, or for an answer."""

    id = serializers.UUIDField()
    run = serializers.UUIDField(source="run_id")
    key = serializers.CharField(help_text="The step of the run that asks.")
    kind = serializers.ChoiceField(choices=ApprovalKind.choices)
    status = serializers.ChoiceField(choices=ApprovalStatus.choices)
    subject = serializers.CharField()
    tool = serializers.CharField()
    effect = serializers.CharField()
    why = serializers.CharField()
    arguments = AnyJSON()
    form = AnyJSON(help_text="The JSON schema that edited arguments, or the answer, must fit.")
    binding = serializers.CharField(help_text="A digest of the exact arguments and of the tool as it was described.")
    asked_at = Moment()
    expires_at = Moment()
    decided_at = Moment(allow_null=True)
    decided_by = serializers.CharField(source="decided_by.username", allow_null=True, default=None)
    decision = AnyJSON(help_text="The arguments as a person edited them, or the answer.")
    comment = serializers.CharField()


class ApprovalPage(serializers.Serializer[Any]):
    """A page of questions, newest first."""

    items = ApprovalOut(many=True)
    next = serializers.CharField(allow_null=True)


class ApprovalDecision(StrictSerializer):
    """What a person decides. `value` is the answer, or the arguments in their edited form."""

    choice = serializers.ChoiceField(choices=("approve", "reject", "answer"))
    value = AnyJSON(required=False)
    comment = serializers.CharField(required=False, default="", allow_blank=True, max_length=2000)
