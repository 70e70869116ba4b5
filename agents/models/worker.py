"""Worker processes."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone


class WorkerState(models.TextChoices):
    """`dead` is said by others (its lease ran out), `stopped` by the worker itself."""

    ALIVE = "alive"
    DRAINING = "draining"
    STOPPED = "stopped"
    DEAD = "dead"


class Worker(models.Model):
    """One worker process: one row, one heartbeat, many slots.

    `seen` is in seconds of the database's clock (PostgreSQL: its own; SQLite: the machine's boot clock), `host_id`
    tells machines and containers apart even if they share a name, `batch` is the journal's last committed batch.
    """

    name = models.CharField(max_length=100)
    host = models.CharField(max_length=100)
    host_id = models.CharField(max_length=80)
    pid = models.IntegerField()
    pid_start = models.BigIntegerField(help_text="The process's start in clock ticks: tells a reused pid apart.")
    queue = models.CharField(max_length=20, default="runs")
    version = models.CharField(max_length=40, blank=True)
    state = models.CharField(max_length=10, choices=WorkerState.choices, default=WorkerState.ALIVE)
    slots = models.IntegerField(default=0)
    busy = models.IntegerField(default=0)
    rss_bytes = models.BigIntegerField(default=0)
    lease = models.FloatField(help_text="Seconds of silence after which its runs are taken over.")
    seen = models.FloatField()
    batch = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    stopped_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints = (models.CheckConstraint(condition=Q(state__in=WorkerState.values), name="worker_state_known"),)
        indexes = (
            models.Index(fields=("host_id",), name="worker_living", condition=Q(state__in=("alive", "draining"))),
        )

    def __str__(self) -> str:
        return self.name
