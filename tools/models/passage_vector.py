"""Vectors of passages."""

from __future__ import annotations

from django.db import models


class PassageVector(models.Model):
    """A passage of a document as a vector: its numbers as 32-bit floats."""

    workspace = models.ForeignKey("agents.Workspace", on_delete=models.CASCADE, related_name="+", db_index=False)
    passage = models.ForeignKey("agents.Passage", on_delete=models.CASCADE, related_name="+")
    embedder = models.CharField(max_length=60)
    vector = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("passage", "embedder"), name="passagevector_once"),)
        indexes = (models.Index(fields=("workspace", "embedder"), name="passagevector_workspace"),)

    def __str__(self) -> str:
        return f"{self.embedder} {self.passage_id}"
