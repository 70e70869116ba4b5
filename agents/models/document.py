"""Documents that agents search."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from agents.models.workspace import Workspace


class Document(models.Model):
    """A text of the workspace. `digest` is of its text: the same text is kept once per workspace."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="documents")
    title = models.CharField(max_length=300)
    url = models.CharField(max_length=2000, blank=True)
    media_type = models.CharField(max_length=100, default="text/plain")
    text = models.TextField()
    size = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("workspace", "digest"), name="document_once"),)

    def __str__(self) -> str:
        return self.title
