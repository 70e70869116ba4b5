"""Files that runs make."""

from __future__ import annotations

from django.db import models

from agents.models.fields import uuid7
from agents.models.run import Run
from agents.models.workspace import Workspace


class Artifact(models.Model):
    """A file made by a run. `address` is where the store keeps its content."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="artifacts")
    run = models.ForeignKey(Run, on_delete=models.DO_NOTHING, related_name="artifacts", db_constraint=False)
    key = models.CharField(max_length=500)
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100)
    size = models.BigIntegerField()
    address = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("run", "key"), name="artifact_once"),)

    def __str__(self) -> str:
        return self.name
