"""The agents app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.conf import settings


class AgentsConfig(AppConfig):
    """Agents, runs and all that drives them."""

    name = "agents"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Bind the ports, and load the workflows: the built-in ones and those of the operator's modules."""
        # Not at the top: these modules need the tables, which are there only now.
        import_module("agents.queue.worker_process").bind_ports(import_module("agents.ports").make_ports)
        import_module("agents.workflows").load_builtin()
        for module in settings.WORKFLOW_MODULES:
            import_module(module)
        if settings.EVENT_MODELS:
            import_module("agents.services.sources").connect(settings.EVENT_MODELS)
