"""Deliveries of ordinary tasks: how often each was handed out, and those that were set aside."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Delivery(models.Model):
    """A task that was handed to a worker process and is not done, or that was set aside.

    `message` is its row in django-q2's queue; a task that is set aside has no such row, only its `payload` here.
    `holder` names the process of the cluster that fetched it, so that others notice when that is gone.
    """

    message = models.BigIntegerField(null=True, unique=True)
    queue = models.CharField(max_length=100)
    name = models.CharField(max_length=300, blank=True)
    count = models.PositiveSmallIntegerField(default=0, help_text="How often it was handed out.")
    holder = models.CharField(max_length=120, blank=True)
    payload = models.TextField(blank=True)
    reason = models.CharField(max_length=500, blank=True)
    delivered_at = models.DateTimeField(default=timezone.now)
    set_aside_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        verbose_name = "task"
        constraints = (
            models.CheckConstraint(
                condition=Q(message__isnull=False, set_aside_at__isnull=True)
                | Q(message__isnull=True, set_aside_at__isnull=False),
                name="delivery_queued_or_set_aside",
            ),
        )

    def __str__(self) -> str:
        return self.name or f"task {self.message or self.pk}"
