"""The API's forms for schedules and watchers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework import serializers

from agents.api.serializers import AnyJSON, Moment, StrictSerializer
from agents.models import CatchUp, Overlap, Timed, TimingKind, WatcherKind
from agents.services.timed import MAX_NAME, MAX_NOTE, next_times, words_of
from agents.triggers.cron import MAX_EXPRESSION
from agents.triggers.schedules import MAX_CATCH_UP, MAX_INTERVAL, MAX_JITTER


class TimingForm(StrictSerializer):
    """When something is due: by a cron expression, again and again after so many seconds, or once."""

    timing = serializers.ChoiceField(choices=TimingKind.choices)
    cron = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=MAX_EXPRESSION,
        help_text="Minute, hour, day, month, weekday; or six fields with the seconds first.",
    )
    time_zone = serializers.CharField(
        required=False, default="UTC", max_length=60, help_text="On whose clocks cron is read, as in Europe/Berlin."
    )
    seconds = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=MAX_INTERVAL, help_text="The length of an interval."
    )
    at = serializers.DateTimeField(required=False, allow_null=True, default=None, help_text="The moment of once.")
    jitter = serializers.IntegerField(
        required=False,
        default=0,
        min_value=0,
        max_value=MAX_JITTER,
        help_text="Each firing is late by up to so many seconds: always the same for the same time.",
    )


class TimedForm(TimingForm):
    """When something is due, and what it starts."""

    agent = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=60,
        help_text="The agent that its events start; empty: none, others may subscribe to them.",
    )
    input = AnyJSON(required=False, default=None, help_text="The run's input, with places for the event's data.")
    overlap = serializers.ChoiceField(
        choices=Overlap.choices,
        required=False,
        default=Overlap.SKIP,
        help_text="What becomes of an event while the run of an earlier one is at work.",
    )
    priority = serializers.IntegerField(required=False, default=0, min_value=-10, max_value=10)
    note = serializers.CharField(required=False, default="", allow_blank=True, max_length=MAX_NOTE)


class ScheduleForm(TimedForm):
    """All of a schedule but its name."""

    catch_up = serializers.ChoiceField(
        choices=CatchUp.choices,
        required=False,
        default=CatchUp.ONE,
        help_text="What is made up for of firings that were missed while no worker was there.",
    )
    catch_up_limit = serializers.IntegerField(required=False, default=1, min_value=1, max_value=MAX_CATCH_UP)


class NewSchedule(ScheduleForm):
    """A schedule. It emits the event `schedule.<name>`."""

    name = serializers.CharField(max_length=MAX_NAME)


class WatcherForm(TimedForm):
    """All of a watcher but its name."""

    kind = serializers.ChoiceField(choices=WatcherKind.choices)
    overlap = serializers.ChoiceField(
        choices=Overlap.choices,
        required=False,
        default=Overlap.QUEUE,
        help_text="What becomes of an event while the run of an earlier one is at work.",
    )
    target = serializers.DictField(
        child=AnyJSON(),
        help_text="url: url, selector. feed: url. folder: folder, pattern. sql: connection, sql.",
    )


class NewWatcher(WatcherForm):
    """A watcher. It emits the event `watcher.<name>` for what has changed."""

    name = serializers.CharField(max_length=MAX_NAME)


class TimedOut(serializers.Serializer[Any]):
    """When something is due, and what it starts."""

    name = serializers.CharField()
    timing = serializers.ChoiceField(choices=TimingKind.choices)
    cron = serializers.CharField()
    time_zone = serializers.CharField()
    seconds = serializers.IntegerField()
    at = Moment(allow_null=True)
    jitter = serializers.IntegerField()
    agent = serializers.CharField(source="agent.name", allow_null=True, default=None)
    input = AnyJSON()
    overlap = serializers.ChoiceField(choices=Overlap.choices)
    priority = serializers.IntegerField()
    note = serializers.CharField()
    words = serializers.SerializerMethodField(help_text="When it is due, in words.")
    next = serializers.SerializerMethodField(help_text="The next five times, without jitter, paused or not.")
    paused_at = Moment(allow_null=True)
    broken = serializers.CharField(help_text="Why it does not fire; empty: it does.")
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)
    created_at = Moment()
    updated_at = Moment()

    def get_words(self, row: Timed) -> str:
        return words_of(row)

    def get_next(self, row: Timed) -> list[datetime]:
        return [Moment().to_representation(time) for time in next_times(row)]


class ScheduleOut(TimedOut):
    """A schedule."""

    catch_up = serializers.ChoiceField(choices=CatchUp.choices)
    catch_up_limit = serializers.IntegerField()
    fired_at = Moment(allow_null=True)
    skipped = serializers.IntegerField(
        help_text="How many firings were passed over when that happened last, counted to 1,000; 1,001 are more."
    )
    skipped_at = Moment(allow_null=True)


class WatcherOut(TimedOut):
    """A watcher."""

    kind = serializers.ChoiceField(choices=WatcherKind.choices)
    target = serializers.DictField(child=AnyJSON())
    looked_at = Moment(allow_null=True)
    changed_at = Moment(allow_null=True)
    failures = serializers.IntegerField(help_text="How many looks in a row have failed.")
    problem = serializers.CharField(help_text="Why the last look failed, or what it lacks.")


class SchedulePage(serializers.Serializer[Any]):
    """A page of schedules, newest first."""

    items = ScheduleOut(many=True)
    next = serializers.CharField(allow_null=True)


class WatcherPage(serializers.Serializer[Any]):
    """A page of watchers, newest first."""

    items = WatcherOut(many=True)
    next = serializers.CharField(allow_null=True)


class TimesOut(serializers.Serializer[Any]):
    """Times that something would be due."""

    words = serializers.CharField()
    next = serializers.ListField(child=Moment())


class FiredOut(serializers.Serializer[Any]):
    """The event of a firing."""

    event = serializers.IntegerField(source="pk")
    name = serializers.CharField()
