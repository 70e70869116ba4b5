"""The API's forms for events and subscriptions."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents.api.serializers import AnyJSON, Moment, StrictSerializer
from agents.models import Event, MatchStatus, SubscriptionState
from agents.services.event_log import EventState
from agents.services.event_traces import near_misses_of
from agents.services.events import MAX_ID, MAX_SOURCE
from agents.services.subscriptions import MAX_NOTE, WouldMatch
from agents.triggers.patterns import MAX_NAME


class NewEvent(StrictSerializer):
    """An event."""

    name = serializers.CharField(max_length=MAX_NAME, help_text="As in order.paid.")
    data = AnyJSON(required=False, default=None, allow_null=True)  # type: ignore[assignment]  # as below
    source = serializers.CharField(  # type: ignore[assignment]  # the base class has a `source` of another kind
        required=False, default="", allow_blank=True, max_length=MAX_SOURCE
    )
    id = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=MAX_ID,
        help_text="The source's own name for the event: the same one from the same source is the same event.",
    )
    occurred_at = serializers.DateTimeField(required=False, default=None, allow_null=True)
    tainted = serializers.BooleanField(
        required=False, default=False, help_text="Strangers may have written what it says."
    )


class EventShown(serializers.Serializer[Any]):
    """An event. `id` is ours, `event_id` the source's; `is_new` is false where it was told of before."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    data = AnyJSON(allow_null=True)  # type: ignore[assignment]  # the base class has a `data` of another kind
    source = serializers.CharField()  # type: ignore[assignment]
    event_id = serializers.CharField()
    attributes = AnyJSON(allow_null=True)
    occurred_at = Moment()
    received_at = Moment()
    dispatched_at = Moment(allow_null=True)
    tainted = serializers.BooleanField()
    to_run = serializers.UUIDField(source="to_run_id", allow_null=True)
    cause = serializers.UUIDField(source="cause_id", allow_null=True)
    replay_of = serializers.IntegerField(source="replay_of_id", allow_null=True)
    is_new = serializers.BooleanField()


class MatchOut(serializers.Serializer[Any]):
    """What came of an event: at a subscription, or at a run that waited for it, of which `subscription` is empty."""

    subscription = serializers.CharField(source="name")
    status = serializers.ChoiceField(choices=MatchStatus.choices)
    reason = serializers.CharField()
    run = serializers.UUIDField(source="run_id", allow_null=True)
    at = Moment()


class NearMissOut(serializers.Serializer[Any]):
    """A subscription to the event's name that has nothing of it, and why: as it is today."""

    subscription = serializers.CharField()
    reason = serializers.CharField()


class EventFull(EventShown):
    """An event with its delivery log."""

    deliveries = MatchOut(many=True, source="matches.all")
    near_misses = serializers.SerializerMethodField()

    @extend_schema_field(NearMissOut(many=True))
    def get_near_misses(self, event: Event) -> Any:
        """Say why others that are subscribed to its name did not take it."""
        return NearMissOut(near_misses_of(event), many=True).data


class EventsPage(serializers.Serializer[Any]):
    """A page of events, newest first."""

    items = EventShown(many=True)
    next = serializers.CharField(allow_null=True)


class EventList(serializers.Serializer[Any]):
    """Events in the order in which they were told of."""

    items = EventShown(many=True)


class EventQuery(serializers.Serializer[Any]):
    """What is asked for."""

    name = serializers.CharField(required=False, help_text="A name, or a beginning as in order.*")
    source = serializers.CharField(required=False)  # type: ignore[assignment]
    id = serializers.CharField(required=False, help_text="Its number, or its source's own name for it.")
    state = serializers.ChoiceField(choices=EventState.choices, required=False)
    after = serializers.DateTimeField(required=False, help_text="Received at this time or later.")
    before = serializers.DateTimeField(required=False, help_text="Received before this time.")


class ReplayForm(StrictSerializer):
    """Which events are to be dispatched once more: at most 1,000, and not without a beginning."""

    name = serializers.CharField(required=False, default="", allow_blank=True, max_length=MAX_NAME)
    source = serializers.CharField(  # type: ignore[assignment]
        required=False, default="", allow_blank=True, max_length=MAX_SOURCE
    )
    state = serializers.ChoiceField(choices=EventState.choices, required=False, default="", allow_blank=True)
    after = serializers.DateTimeField()
    before = serializers.DateTimeField(required=False, default=None, allow_null=True)


class Replayed(serializers.Serializer[Any]):
    """How many events were told of once more, and under which numbers."""

    count = serializers.IntegerField()
    ids = serializers.ListField(child=serializers.IntegerField())


class SubscriptionForm(StrictSerializer):
    """All of a subscription but its name."""

    pattern = serializers.CharField(max_length=MAX_NAME, help_text="An event's name, order.* or *")
    agent = serializers.CharField(max_length=100)
    version = serializers.IntegerField(
        required=False, default=None, allow_null=True, min_value=1, max_value=2**31 - 1, help_text="Empty: the current."
    )
    filter = AnyJSON(required=False, default=None, allow_null=True)
    input = AnyJSON(required=False, default=None, allow_null=True)
    priority = serializers.IntegerField(required=False, default=0, min_value=-10, max_value=10)
    flow = AnyJSON(required=False, default=dict)
    state = serializers.ChoiceField(
        choices=SubscriptionState.choices, required=False, default=SubscriptionState.ACTIVE.value
    )
    note = serializers.CharField(required=False, default="", allow_blank=True, max_length=MAX_NOTE)


class NewSubscription(SubscriptionForm):
    """A subscription."""

    name = serializers.CharField(max_length=60)


class StateForm(StrictSerializer):
    """Whether events start runs by it."""

    state = serializers.ChoiceField(choices=SubscriptionState.choices)


class SubscriptionOut(serializers.Serializer[Any]):
    """A subscription."""

    name = serializers.CharField()
    pattern = serializers.CharField()
    agent = serializers.CharField(source="agent.name")
    version = serializers.IntegerField(allow_null=True)
    filter = AnyJSON(allow_null=True)
    input = AnyJSON(allow_null=True)
    priority = serializers.IntegerField()
    flow = AnyJSON()
    state = serializers.ChoiceField(choices=SubscriptionState.choices)
    note = serializers.CharField()
    created_at = Moment()
    updated_at = Moment()


class SubscriptionPage(serializers.Serializer[Any]):
    """A page of subscriptions, newest first."""

    items = SubscriptionOut(many=True)
    next = serializers.CharField(allow_null=True)


class WouldMatchOut(serializers.Serializer[Any]):
    """An event that would have matched, and the input of the run, or why there would have been none."""

    event = serializers.SerializerMethodField()
    input = AnyJSON(allow_null=True)
    problem = serializers.CharField()

    def get_event(self, found: WouldMatch) -> dict[str, Any]:
        event: Event = found.event
        return {"id": event.pk, "name": event.name, "received_at": event.received_at}


class TrialOfSubscription(serializers.Serializer[Any]):
    """What a subscription would have matched of the events that have come."""

    matched = WouldMatchOut(many=True)
    looked_at = serializers.IntegerField(help_text="Events whose name fits.")
    since = Moment(allow_null=True)


class SignalForm(StrictSerializer):
    """What a run is told."""

    data = AnyJSON(required=False, default=None, allow_null=True)  # type: ignore[assignment]
    id = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=MAX_ID,
        help_text="The same id of the same run is the same signal.",
    )
