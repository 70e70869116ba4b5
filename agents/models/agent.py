"""Agents and their versions."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from agents.models.workspace import Workspace


class Agent(models.Model):
    """A named configuration of a workspace; what it does is in its versions."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="agents")
    name = models.SlugField(max_length=60)
    description = models.CharField(max_length=300, blank=True)
    current = models.ForeignKey(
        "agents.AgentVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("workspace", "name"), name="agent_name_once"),)

    def __str__(self) -> str:
        return self.name


class AgentVersion(models.Model):
    """What an agent does. Never changed once published: runs are pinned to it."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    workflow = models.CharField(max_length=100)
    model = models.CharField(max_length=100, blank=True)
    instructions = models.TextField(blank=True)
    tools = models.JSONField(default=list)
    options = models.JSONField(default=dict)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("agent", "-number")
        constraints = (models.UniqueConstraint(fields=("agent", "number"), name="agent_version_once"),)

    def __str__(self) -> str:
        return f"{self.agent.name}@{self.number}"
