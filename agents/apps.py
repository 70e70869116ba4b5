"""The agents app."""

from __future__ import annotations

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    """Agents, runs and all that drives them."""

    name = "agents"
    default_auto_field = "django.db.models.BigAutoField"
