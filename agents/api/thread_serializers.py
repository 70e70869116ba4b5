"""The API's forms for threads."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.api.run_serializers import RunOut
from agents.api.serializers import AnyJSON, Moment, StrictSerializer
from agents.models import BusyPolicy
from agents.services.threads import MAX_TEXT, MAX_TITLE


class NewThread(StrictSerializer):
    """With whom a conversation is begun."""

    agent = serializers.CharField(max_length=60)
    title = serializers.CharField(required=False, default="", allow_blank=True, max_length=MAX_TITLE)
    policy = serializers.ChoiceField(
        choices=BusyPolicy.choices,
        required=False,
        default=BusyPolicy.ENQUEUE,
        help_text="What becomes of a message while an earlier one is at work.",
    )


class ThreadChange(StrictSerializer):
    """What is to be changed of a thread; what is not named stays."""

    title = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TITLE)
    policy = serializers.ChoiceField(choices=BusyPolicy.choices, required=False)


class ThreadOut(serializers.Serializer[Any]):
    """A conversation with an agent."""

    id = serializers.UUIDField()
    agent = serializers.CharField(source="agent.name")
    title = serializers.CharField()
    policy = serializers.ChoiceField(choices=BusyPolicy.choices)
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)
    created_at = Moment()


class ThreadPage(serializers.Serializer[Any]):
    """A page of threads, newest first."""

    items = ThreadOut(many=True)
    next = serializers.CharField(allow_null=True)


class NewMessage(StrictSerializer):
    """What is said."""

    text = serializers.CharField(max_length=MAX_TEXT, trim_whitespace=False)


class MessageOut(serializers.Serializer[Any]):
    """What somebody said in a thread, and the run that answers it."""

    number = serializers.IntegerField()
    text = serializers.CharField()
    by = serializers.CharField(source="created_by.username", allow_null=True, default=None)
    created_at = Moment()
    run = RunOut()
    answer = AnyJSON(source="run.output", help_text="The run's output, once it has succeeded.")


class MessagePage(serializers.Serializer[Any]):
    """A page of a thread's messages, newest first."""

    items = MessageOut(many=True)
    next = serializers.CharField(allow_null=True)
