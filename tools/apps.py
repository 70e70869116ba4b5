"""The tools app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from tools.addresses import AddressPolicy

BUILTIN = (
    "tools.builtin.artifacts",
    "tools.builtin.ask_person",
    "tools.builtin.calculate",
    "tools.builtin.extract",
    "tools.builtin.http_request",
    "tools.builtin.run_python",
    "tools.builtin.search_documents",
    "tools.builtin.sql_query",
    "tools.builtin.vector_search",
    "tools.builtin.wait",
    "tools.builtin.web_crawl",
    "tools.builtin.web_fetch",
    "tools.builtin.web_scrape",
    "tools.builtin.web_search",
)


class ToolsConfig(AppConfig):
    """Tools and the one client for requests to the outside."""

    name = "tools"

    def ready(self) -> None:
        """Import the built-in tools and those of TOOL_MODULES; importing a module registers what it declares.

        Mistakes in the settings are named here, not at the first request.
        """
        try:
            AddressPolicy.of(settings.ALLOWED_NETWORKS)
        except ValueError as error:
            raise ImproperlyConfigured(f"ALLOWED_NETWORKS is a list of networks like 10.0.0.0/8: {error}.") from error
        check_keys = import_module("tools.secrets").read_keys
        try:
            check_keys(settings.SECRETS_KEYS)
        except ValueError as error:
            hint = "`agentsite secrets new-key` makes one"
            raise ImproperlyConfigured(f"SECRETS_KEYS is a list of Fernet keys, {hint}: {error}.") from error
        for module in BUILTIN:
            import_module(module)
        for module in settings.TOOL_MODULES:
            try:
                import_module(module)
            except ModuleNotFoundError as error:
                if error.name is None or not module.startswith(error.name):
                    raise
                raise ImproperlyConfigured(f"TOOL_MODULES names {module!r}, which can't be imported.") from error
