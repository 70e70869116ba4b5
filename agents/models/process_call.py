"""Tool calls that have a process of their own."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from agents.models.run import Run
from agents.models.worker import Worker


class ProcessCall(models.Model):
    """An attempt of a run's step that waits for a process of its own, or is being executed in one.

    Its id is the attempt's token. Who deletes the row has the last word about the attempt: a process that comes after
    that is not heard. `worker` is the one whose process it is, none before it starts; `timeout` is in seconds,
    `memory` in MB.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    run = models.ForeignKey(Run, on_delete=models.DO_NOTHING, related_name="calls", db_constraint=False)
    key = models.CharField(max_length=500)
    attempt = models.PositiveSmallIntegerField(default=1)
    tool = models.CharField(max_length=100)
    timeout = models.FloatField()
    memory = models.PositiveIntegerField()
    is_approved = models.BooleanField(default=False)
    worker = models.ForeignKey(
        Worker, null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    host = models.CharField(max_length=100, blank=True)
    queued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("queued_at",)
        indexes = (models.Index(fields=("worker",), name="process_call_started", condition=Q(worker__isnull=False)),)

    def __str__(self) -> str:
        return f"{self.tool} {self.key}"
