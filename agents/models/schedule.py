"""Schedules: events that come with the time."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from agents.models.timed import Overlap, Timed, TimingKind


class CatchUp(models.TextChoices):
    """What is made up for of firings that were missed, while no worker was there."""

    NONE = "none", "nothing"
    ONE = "one", "one firing for all"
    ALL = "all", "each, up to a number"


class Schedule(Timed):
    """Emits the event `schedule.<name>` whenever it is due, once."""

    catch_up = models.CharField(max_length=10, choices=CatchUp.choices, default=CatchUp.ONE)
    catch_up_limit = models.PositiveSmallIntegerField(default=1)
    fired_at = models.DateTimeField(null=True, blank=True)
    skipped = models.PositiveIntegerField(
        default=0,
        help_text="How many firings were passed over when that happened last, counted to 1,000; 1,001 are more.",
    )
    skipped_at = models.DateTimeField(null=True, blank=True)

    class Meta(Timed.Meta):
        constraints = (
            models.UniqueConstraint(fields=("workspace", "name"), name="schedule_once"),
            models.CheckConstraint(condition=Q(timing__in=TimingKind.values), name="schedule_timing_known"),
            models.CheckConstraint(condition=Q(overlap__in=Overlap.values), name="schedule_overlap_known"),
            models.CheckConstraint(condition=Q(catch_up__in=CatchUp.values), name="schedule_catch_up_known"),
        )
        indexes = (models.Index(fields=("fires_at",), name="schedule_due", condition=Q(fires_at__isnull=False)),)
