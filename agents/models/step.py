"""Steps: the checkpoints of a run."""

from __future__ import annotations

from typing import Self
from uuid import UUID

from django.db import models
from django.db.models import Q

from agents.models.fields import JSONTextField, uuid7
from agents.models.run import UNPRICED, Run

BOOKKEEPING = ("emit", "next")
"""Kinds of records that a replay needs and that are no steps to anybody who looks."""


class StepStatus(models.TextChoices):
    """The life of a step. `unknown`: an unsafe one was interrupted, a person decides what became of it."""

    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"


class StepQuerySet(models.QuerySet["Step"]):
    """Questions about steps."""

    def of(self, run_id: UUID) -> Self:
        """All of a run, those that a retry has replaced too: each of the two has an index, both together have none."""
        return self.filter(Q(run_id=run_id, superseded=False) | Q(run_id=run_id, superseded=True))


class Step(models.Model):
    """One recorded unit of a run; its record is the checkpoint.

    `key` names the step within its run. `digest` is of its input, `outcome` what a replay returns. `started_at` and
    `finished_at` never go back within a run, so they also order its steps.
    """

    run = models.ForeignKey(Run, on_delete=models.DO_NOTHING, related_name="steps", db_constraint=False, db_index=False)
    key = models.CharField(max_length=500)
    kind = models.CharField(max_length=12)
    name = models.CharField(max_length=100)
    label = models.CharField(max_length=12, blank=True)
    status = models.CharField(max_length=12, choices=StepStatus.choices)
    effect = models.CharField(max_length=10, default="none")
    attempt = models.SmallIntegerField(default=1)
    attempts = JSONTextField(null=True, help_text="Earlier attempts: their error, start and end.")
    digest = models.CharField(max_length=32, blank=True)
    input = JSONTextField(null=True)
    outcome = JSONTextField(null=True)
    large = models.UUIDField(null=True, help_text="Where an outcome too large for this row is kept.")
    error = JSONTextField(null=True)
    superseded = models.BooleanField(default=False)
    tainted = models.BooleanField(
        default=False, db_default=False, help_text="By its outcome the run has read what strangers may have written."
    )
    input_tokens = models.IntegerField(default=0)
    output_tokens = models.IntegerField(default=0)
    cost_microusd = models.BigIntegerField(null=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    objects = StepQuerySet.as_manager()

    class Meta:
        ordering = ("started_at", "id")
        constraints = (
            models.UniqueConstraint(fields=("run", "key"), name="step_once", condition=Q(superseded=False)),
            models.CheckConstraint(condition=Q(status__in=StepStatus.values), name="step_status_known"),
        )
        indexes = (
            models.Index(fields=("run",), name="step_superseded", condition=Q(superseded=True)),
            models.Index(fields=("run",), name="step_unpriced", condition=UNPRICED),
        )

    def __str__(self) -> str:
        return self.key

    @property
    def seconds(self) -> float | None:
        """How long the step took, None while it runs."""
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None

    @property
    def is_cached(self) -> bool:
        """Whether an equal call's outcome served, kept or under way; not known of one that is too large for lists."""
        return self.kind == "tool" and isinstance(self.outcome, dict) and self.outcome.get("cached") is True


class LargeOutcome(models.Model):
    """An outcome of over 256 KB: JSON text, compressed by Zstandard."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.ForeignKey(Run, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False)
    data = models.BinaryField()

    def __str__(self) -> str:
        return str(self.id)


class Partial(models.Model):
    """Text streamed by a step that is still running; deleted when the step is recorded."""

    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, related_name="partials", db_constraint=False, db_index=False
    )
    key = models.CharField(max_length=500)
    attempt = models.SmallIntegerField()
    number = models.IntegerField()
    text = models.TextField()

    class Meta:
        ordering = ("run_id", "id")
        indexes = (models.Index(fields=("run", "key"), name="partial_step"),)

    def __str__(self) -> str:
        return f"{self.key} {self.attempt}/{self.number}"
