"""Watchers: events that come when something outside has changed."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from agents.models.fields import JSONTextField
from agents.models.timed import Overlap, Timed, TimingKind


class WatcherKind(models.TextChoices):
    """What is looked at."""

    URL = "url", "a page of the web"
    FEED = "feed", "a feed (RSS, Atom)"
    FOLDER = "folder", "a folder of the server"
    SQL = "sql", "what a database answers"


class Watcher(Timed):
    """Looks whenever it is due, and emits the event `watcher.<name>` for what has changed since its last look.

    `state` is what the last look saw: none before the first. While somebody looks, `looking` is his token, and
    `fires_at` the moment from which others take him for dead.
    """

    kind = models.CharField(max_length=10, choices=WatcherKind.choices)
    target = models.JSONField(default=dict)
    state = JSONTextField(null=True, blank=True)
    looking = models.UUIDField(null=True, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0, help_text="How many looks in a row have failed.")
    problem = models.CharField(max_length=500, blank=True, help_text="Why the last look failed, or what it lacks.")

    class Meta(Timed.Meta):
        constraints = (
            models.UniqueConstraint(fields=("workspace", "name"), name="watcher_once"),
            models.CheckConstraint(condition=Q(kind__in=WatcherKind.values), name="watcher_kind_known"),
            models.CheckConstraint(condition=Q(timing__in=TimingKind.values), name="watcher_timing_known"),
            models.CheckConstraint(condition=Q(overlap__in=Overlap.values), name="watcher_overlap_known"),
        )
        indexes = (models.Index(fields=("fires_at",), name="watcher_due", condition=Q(fires_at__isnull=False)),)
