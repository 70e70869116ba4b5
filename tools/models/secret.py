"""Secrets: what tools send along and nobody gets to see."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

MAX_NAME = 60
NAME = r"[A-Za-z][A-Za-z0-9_-]{0,59}"


class Secret(models.Model):
    """A secret of a workspace, known by its name. Its value is kept encrypted and never shown again.

    `hosts` are those it may be sent to by requests that an agent makes; without any it is for providers and for tools
    that ask for it by name.
    """

    workspace = models.ForeignKey("agents.Workspace", on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=MAX_NAME, validators=[RegexValidator(f"^{NAME}$")])
    token = models.TextField(editable=False, help_text="The value, encrypted together with the workspace and the name.")
    hosts = models.JSONField(default=list, blank=True)
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("workspace", "name")
        constraints = (models.UniqueConstraint(fields=("workspace", "name"), name="secret_once"),)

    def __str__(self) -> str:
        return self.name
