"""Events: told of, listed, told of once more; signals to runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.event_serializers import (
    EventFull,
    EventList,
    EventQuery,
    EventShown,
    EventsPage,
    NewEvent,
    Replayed,
    ReplayForm,
    SignalForm,
)
from agents.api.pagination import newest
from agents.api.parsing import MEBIBYTE, StrictJSONParser
from agents.api.serializers import shown
from agents.api.views.base import ApiView
from agents.api.views.runs import find_run, idempotency_key
from agents.services import event_log, events
from agents.services.errors import InvalidInput
from agents.triggers.cloudevents import MANY, ONE, BadCloudEvent, CloudEvent, read_cloud_event

KEY_HEADER = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Stands for the `id` of an event that has none; with several, each has its place after the key.",
)
ONCE_HEADER = OpenApiParameter(
    "Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER, description="The same key is the same replay."
)
ANSWER = PolymorphicProxySerializer("EventOrEvents", [EventShown, EventList], resource_type_field_name=None, many=False)


class CloudEventParser(StrictJSONParser):
    """A CloudEvent."""

    media_type = ONE


class CloudEventsParser(StrictJSONParser):
    """A batch of CloudEvents."""

    media_type = MANY


class EventsView(ApiView):
    """POST tells of events, GET lists them."""

    parser_classes = (StrictJSONParser, CloudEventParser, CloudEventsParser)
    body_limit = 4 * MEBIBYTE

    @extend_schema(
        operation_id="emit_events",
        request={
            "application/json": PolymorphicProxySerializer(
                "NewEventOrEvents", [NewEvent, NewEvent(many=True)], resource_type_field_name=None, many=False
            ),
            ONE: OpenApiTypes.OBJECT,
            MANY: OpenApiTypes.OBJECT,
        },
        responses={202: ANSWER},
        parameters=[KEY_HEADER],
    )
    def post(self, request: Request) -> Response:
        """Tell of one event, or of up to 1,000 in a list, all or none. They are kept when this answers.

        CloudEvents 1.0 are taken in their JSON format, alone or as a batch: their `type` is the event's name.
        """
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        is_cloud = media_type in (ONE, MANY)
        body: Any = request.data
        is_one = isinstance(body, dict)
        if not isinstance(body, dict | list) or media_type == (MANY if is_one else ONE):
            raise ParseError("An event is an object; several are a list of them.")
        read = _read_cloud_events if is_cloud else _read_events
        several: list[Any] = [body] if isinstance(body, dict) else list(body)
        new = _with_key(read(several, is_one=is_one), idempotency_key(request))
        written = events.take_events(self.workspace(), new)
        if is_one:
            return Response(shown(EventShown, written[0]), status=202)
        return Response({"items": EventShown(written, many=True).data}, status=202)

    @extend_schema(operation_id="find_events", parameters=[EventQuery], responses=EventsPage)
    def get(self, request: Request) -> Response:
        """List events, newest first."""
        form = EventQuery(data=request.query_params)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        wanted = event_log.EventFilter(pattern=asked.pop("name", ""), **asked)
        page, following = newest(request, event_log.find_events(self.workspace(), wanted))
        return Response({"items": EventShown(page, many=True).data, "next": following})


class EventView(ApiView):
    """One event."""

    @extend_schema(operation_id="get_event", responses=EventFull)
    def get(self, request: Request, event_id: int) -> Response:
        """Give an event with its delivery log: what it met, what that started, what was skipped and why."""
        return Response(EventFull(event_log.get_event(self.workspace(), event_id)).data)


class ReplayView(ApiView):
    """Replays an event."""

    @extend_schema(operation_id="replay_event", request=None, responses={202: EventShown}, parameters=[ONCE_HEADER])
    def post(self, request: Request, event_id: int) -> Response:
        """Dispatch an event once more, as a new one that says of which it is the replay."""
        found, key = event_log.get_event(self.workspace(), event_id), idempotency_key(request)
        again = event_log.replay_event(found, by=self.person(), key=key)
        return Response(EventShown(again).data, status=202)


class ReplayRangeView(ApiView):
    """Replays all events of a range."""

    @extend_schema(
        operation_id="replay_events", request=ReplayForm, responses={202: Replayed}, parameters=[ONCE_HEADER]
    )
    def post(self, request: Request) -> Response:
        """Dispatch all events of a range once more, in their order; replays and signals are left out."""
        asked = ReplayForm.read(request.data)
        wanted = event_log.EventFilter(pattern=asked.pop("name"), **asked)
        again = event_log.replay_events(self.workspace(), wanted, by=self.person(), key=idempotency_key(request))
        ids = [event.pk for event in again]
        return Response(Replayed({"count": len(ids), "ids": ids}).data, status=202)


class SignalView(ApiView):
    """Signals to a run."""

    @extend_schema(operation_id="send_signal", request=SignalForm, responses={202: EventShown})
    def post(self, request: Request, run_id: UUID, signal: str) -> Response:
        """Tell a run of an event that is for it alone. It is kept until the run waits for it."""
        run = find_run(self.workspace(), run_id)
        form = SignalForm.read(request.data)
        with transaction.atomic():
            event = events.send_signal(run, signal, form["data"], signal_id=form["id"] or idempotency_key(request))
        return Response(EventShown(event).data, status=202)


def _read_events(told: Sequence[Any], *, is_one: bool) -> list[events.NewEvent]:
    """Read events in our own form."""
    if is_one:
        return [_new_event(NewEvent.read(told[0]))]
    _check_count(told)
    read: list[events.NewEvent] = []
    errors: dict[str, Any] = {}
    for number, one in enumerate(told):
        try:
            read.append(_new_event(NewEvent.read(one)))
        except ValidationError as error:
            wrong = error.detail if isinstance(error.detail, dict) else {"": error.detail}
            errors |= {f"{number}.{name}".strip("."): messages for name, messages in wrong.items()}
    if errors:
        raise ValidationError(dict(list(errors.items())[:20]))
    return read


def _new_event(given: dict[str, Any]) -> events.NewEvent:
    return events.NewEvent(event_id=given.pop("id"), **given)


def _read_cloud_events(told: Sequence[Any], *, is_one: bool) -> list[events.NewEvent]:
    _check_count(told)
    read = []
    for number, one in enumerate(told):
        try:
            read.append(_of_cloud(read_cloud_event(one)))
        except BadCloudEvent as error:
            raise InvalidInput(str(error), error.field if is_one else f"{number}.{error.field}".strip(".")) from error
    return read


def _of_cloud(event: CloudEvent) -> events.NewEvent:
    return events.NewEvent(
        name=event.type,
        data=event.data,
        source=event.source,
        event_id=event.id,
        occurred_at=event.time,
        attributes=event.attributes,
    )


def _check_count(told: Sequence[Any]) -> None:
    if len(told) > events.MAX_AT_ONCE:
        raise InvalidInput(f"At most {events.MAX_AT_ONCE:,} events are taken at once.")


def _with_key(new: list[events.NewEvent], key: str) -> list[events.NewEvent]:
    """Let the request's key stand for the ids that are missing."""
    if not key:
        return new
    many = len(new) > 1
    return [
        one if one.event_id else replace(one, event_id=f"{key}:{number}" if many else key)
        for number, one in enumerate(new)
    ]
