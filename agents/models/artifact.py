"""Files that runs make."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef

from agents.models.fields import uuid7
from agents.models.run import Run
from agents.models.step import Step
from agents.models.workspace import Workspace


class ArtifactQuerySet(models.QuerySet["Artifact"]):
    """Questions about files."""

    def standing(self) -> Self:
        """Leave out the files of steps that a retry has replaced."""
        # A step that is executed anew under its key starts after what was kept under it before.
        step = Step.objects.filter(run=OuterRef("run_id"), key=OuterRef("key"), superseded=False)
        return self.filter(Exists(step.filter(started_at__lte=OuterRef("created_at"))))


class Artifact(models.Model):
    """A file made by a run. `address` is where the store keeps its content."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="artifacts")
    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, related_name="artifacts", db_constraint=False, db_index=False
    )
    key = models.CharField(max_length=500)
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100)
    size = models.BigIntegerField()
    address = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    objects = ArtifactQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        # Not unique: a step that is executed anew after a retry may keep a file again.
        indexes = (models.Index(fields=("run", "key"), name="artifact_of_step"),)

    def __str__(self) -> str:
        return self.name
