"""What parked runs wait for."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from agents.models.fields import JSONTextField
from agents.models.run import Run


class WaitKind(models.TextChoices):
    """What a parked run waits for."""

    TIMER = "timer"
    CHILD = "child"
    EVENT = "event"
    PERSON = "person"
    SLOT = "slot"
    WORKER = "worker", "a worker that knows the workflow"
    PROCESS = "process", "a process of its own"
    TURN = "turn", "its turn in the thread"
    PLACE = "place", "a place among the running runs"
    PAUSED = "paused"
    CHANGED = "changed", "workflow changed"
    UNKNOWN = "unknown", "outcome unknown"


class Wait(models.Model):
    """One thing a parked run waits for. `needed` is how many messages are still missing (a join is woken once)."""

    run = models.ForeignKey(Run, on_delete=models.DO_NOTHING, related_name="waits", db_constraint=False)
    kind = models.CharField(max_length=10, choices=WaitKind.choices)
    key = models.CharField(max_length=500, blank=True)
    name = models.CharField(max_length=200, blank=True)
    due_at = models.DateTimeField(null=True)
    needed = models.IntegerField(default=1)
    data = JSONTextField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        # Not by the run itself: that would join its table.
        ordering = ("run_id", "id")
        constraints = (models.CheckConstraint(condition=Q(kind__in=WaitKind.values), name="wait_kind_known"),)
        indexes = (
            models.Index(fields=("due_at",), name="wait_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=("kind", "name"), name="wait_kind_name"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"

    @property
    def is_met(self) -> bool:
        return self.needed <= 0
