"""Providers of models that workspaces bring along."""

from __future__ import annotations

from django.db import models

from agents.models.workspace import Workspace


class ProviderKind(models.TextChoices):
    """The protocol that a provider's address speaks."""

    OPENAI = "openai", "OpenAI"
    COMPATIBLE = "compatible", "compatible with OpenAI"
    ANTHROPIC = "anthropic", "Anthropic"


class Provider(models.Model):
    """Who serves the models whose names begin with `name` and a colon, in one workspace.

    An empty `base_url` is OpenAI's or Anthropic's own. `secret` is the name of the workspace's secret that is the key.
    `known_models` says what is known of each: prices in US dollars per million tokens, and how many tokens it takes.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="providers")
    name = models.SlugField(max_length=40, db_index=False)
    kind = models.CharField(max_length=12, choices=ProviderKind.choices)
    base_url = models.CharField(max_length=500, blank=True)
    secret = models.CharField(max_length=60, blank=True, help_text="The name of the secret that is the key.")
    takes_schemas = models.BooleanField(
        default=False, help_text="The address takes the JSON schema of an answer along with the request."
    )
    known_models = models.JSONField(default=dict, blank=True)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=("workspace", "name"), name="provider_once"),
            models.CheckConstraint(condition=models.Q(kind__in=ProviderKind.values), name="provider_kind_known"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def model_names(self) -> list[str]:
        """The names of the models in its table, in an order that does not hang on the database."""
        return sorted(self.known_models)
