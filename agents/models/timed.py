"""What has a time of its own, and an agent to start."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from agents.models.agent import Agent
from agents.models.fields import JSONTextField, uuid7
from agents.models.trigger import Subscription
from agents.models.workspace import Workspace


class TimingKind(models.TextChoices):
    """How something says when it is due."""

    CRON = "cron", "by a cron expression"
    INTERVAL = "interval", "again and again after so many seconds"
    ONCE = "once", "once"


class Overlap(models.TextChoices):
    """What becomes of a firing while the run of an earlier one is at work."""

    SKIP = "skip", "it is skipped"
    QUEUE = "queue", "it waits for its turn"
    CANCEL = "cancel", "the earlier run is cancelled"
    ALLOW = "allow", "both run"


class Timed(models.Model):
    """When it is due, and the agent that its events start, if any.

    `due_at` is the next time that the timing names, `fires_at` the moment at which a worker sees to it: later by the
    jitter. Neither is there while it is paused, broken or over.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="%(class)ss", db_index=False)
    name = models.SlugField(max_length=50, db_index=False)
    note = models.CharField(max_length=200, blank=True)
    timing = models.CharField(max_length=10, choices=TimingKind.choices)
    cron = models.CharField(max_length=200, blank=True)
    time_zone = models.CharField(max_length=60, default="UTC")
    seconds = models.PositiveIntegerField(default=0)
    anchor = models.DateTimeField(null=True, blank=True, help_text="From when an interval is counted.")
    at = models.DateTimeField(null=True, blank=True)
    jitter = models.PositiveIntegerField(default=0, help_text="Each firing is late by up to so many seconds.")
    agent = models.ForeignKey(Agent, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    input = JSONTextField(null=True, blank=True)
    subscription = models.OneToOneField(
        Subscription,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="What lets its events start the agent: kept in step with it.",
    )
    overlap = models.CharField(max_length=10, choices=Overlap.choices, default=Overlap.SKIP)
    priority = models.SmallIntegerField(default=0, validators=(MinValueValidator(-10), MaxValueValidator(10)))
    paused_at = models.DateTimeField(null=True, blank=True)
    broken = models.CharField(max_length=500, blank=True, help_text="Why it does not fire.")
    due_at = models.DateTimeField(null=True, blank=True)
    fires_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
