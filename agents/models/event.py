"""What happened in a run, and what others tell it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from agents.models.fields import JSONTextField
from agents.models.run import Run


class RunEvent(models.Model):
    """An entry of the run's append-only log, numbered 1, 2, 3… within the run, without gaps."""

    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, related_name="events", db_constraint=False, db_index=False
    )
    number = models.IntegerField()
    kind = models.CharField(max_length=24)
    at = models.DateTimeField()
    data = JSONTextField()

    class Meta:
        ordering = ("run_id", "number")
        constraints = (models.UniqueConstraint(fields=("run", "number"), name="event_numbered_once"),)

    def __str__(self) -> str:
        return f"{self.number} {self.kind}"


class Inbox(models.Model):
    """What others tell a run. Its lease holder turns each message into a step or an event, in order by name."""

    run = models.ForeignKey(Run, on_delete=models.DO_NOTHING, related_name="inbox", db_constraint=False, db_index=False)
    name = models.CharField(max_length=500)
    token = models.CharField(max_length=100)
    data = JSONTextField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    consumed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "inbox"
        ordering = ("run_id", "id")
        constraints = (models.UniqueConstraint(fields=("run", "token"), name="inbox_token_once"),)
        indexes = (models.Index(fields=("run", "id"), name="inbox_unread", condition=Q(consumed_at__isnull=True)),)

    def __str__(self) -> str:
        return self.name
