"""Passages of documents: what a search ranks and quotes."""

from __future__ import annotations

from django.db import models

from agents.models.document import Document
from agents.models.workspace import Workspace


class Passage(models.Model):
    """A stretch of a document. `document.text[start:end]` is `text`, character for character.

    `terms` are the normalised words that the full text index holds (see agents/services/terms.py). The index itself
    follows this table inside the database: a generated column on PostgreSQL, an FTS5 table kept by triggers on SQLite.
    A migration that alters this table on SQLite drops those triggers and has to create them again.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="passages", db_index=False)
    number = models.PositiveIntegerField()
    start = models.PositiveIntegerField()
    end = models.PositiveIntegerField()
    text = models.TextField()
    terms = models.TextField()

    score: float = 0.0  # How well it fits; set by a search, not stored.

    class Meta:
        ordering = ("document", "number")
        constraints = (
            models.UniqueConstraint(fields=("document", "number"), name="passage_number_once"),
            models.CheckConstraint(condition=models.Q(end__gt=models.F("start")), name="passage_not_empty"),
        )

    def __str__(self) -> str:
        return f"{self.document_id}[{self.start}:{self.end}]"
