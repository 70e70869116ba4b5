"""Agents and their versions."""

from __future__ import annotations

from typing import Any, NoReturn

from django.conf import settings
from django.db import models

from agents.models.fields import JSONTextField
from agents.models.workspace import Workspace


class Agent(models.Model):
    """A named configuration of a workspace; what it does is in its versions.

    `description` is that of the current version, or of the draft while nothing is published yet.
    """

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


class Published(Exception):
    """A published version is never changed, nor removed: runs are pinned to it. Publish another one."""


class AgentVersionQuerySet(models.QuerySet["AgentVersion"]):
    """Questions about versions; and that nothing but questions is asked of what is published."""

    def update(self, **values: Any) -> NoReturn:
        raise Published(str(Published.__doc__))

    def delete(self) -> NoReturn:
        raise Published(str(Published.__doc__))


class AgentVersion(models.Model):
    """What an agent does. Never changed once published: runs are pinned to it.

    The database holds this too, whoever writes (see the migration that guards versions); only who published it may be
    forgotten, with the person.
    """

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    description = models.CharField(max_length=300, blank=True)
    workflow = models.CharField(max_length=100)
    model = models.CharField(max_length=100, blank=True)
    fallbacks = JSONTextField(
        default=list, blank=True, help_text="Models to go on with when the model fails, in order."
    )
    sampling = JSONTextField(default=dict, blank=True, help_text="temperature, top_p, max_output_tokens, seed")
    instructions = models.TextField(blank=True)
    tools = models.JSONField(default=list)
    sub_agents = JSONTextField(default=list, blank=True, help_text="Agents of the workspace that it may give work to.")
    options = models.JSONField(default=dict)
    input_schema = JSONTextField(null=True, blank=True, help_text="JSON schema of the input; empty: anything.")
    output_schema = JSONTextField(null=True, blank=True, help_text="JSON schema of the answer; empty: a text.")
    caps = JSONTextField(
        default=dict, blank=True, help_text="steps, depth, children, seconds, tokens, usd, repeats; absent: not limited"
    )
    retry = JSONTextField(default=dict, blank=True, help_text="max_attempts, first, factor, max")
    approvals = JSONTextField(default=dict, blank=True)
    note = models.CharField(max_length=200, blank=True, help_text="What changed, in the words of who published it.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AgentVersionQuerySet.as_manager()

    class Meta:
        ordering = ("agent", "-number")
        constraints = (models.UniqueConstraint(fields=("agent", "number"), name="agent_version_once"),)

    def __str__(self) -> str:
        return f"{self.agent.name}@{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Published(str(Published.__doc__))
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Published(str(Published.__doc__))


class AgentDraft(models.Model):
    """What an agent is to become; it is edited freely until it is published.

    `revision` grows with every save and never goes back, so that whoever saves can say what they have seen.
    `definition` is None while there is nothing that is not published.
    """

    agent = models.OneToOneField(Agent, on_delete=models.CASCADE, related_name="draft")
    revision = models.PositiveIntegerField(default=1)
    definition = JSONTextField(null=True, blank=True)
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    edited_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"draft of {self.agent.name}"
