"""The tools app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

BUILTIN = (
    "tools.builtin.calculate",
    "tools.builtin.search_documents",
    "tools.builtin.wait",
    "tools.builtin.web_fetch",
)


class ToolsConfig(AppConfig):
    """Tools and the one client for requests to the outside."""

    name = "tools"

    def ready(self) -> None:
        """Import the built-in tools and those of TOOL_MODULES; importing a module registers what it declares."""
        for module in BUILTIN:
            import_module(module)
        for module in getattr(settings, "TOOL_MODULES", ()):
            try:
                import_module(module)
            except ModuleNotFoundError as error:
                if error.name is None or not module.startswith(error.name):
                    raise
                raise ImproperlyConfigured(f"TOOL_MODULES names {module!r}, which can't be imported.") from error
