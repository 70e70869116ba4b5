"""Loading tools at start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from tools.registry import registry

MODULE = """
from tools import tool

@tool(effect="none", trust="trusted")
def shop_hours(shop: str) -> str:
    "Tell when a shop is open."
    return "always"
"""


def test_tools_of_the_settings_are_loaded(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_tools.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_tools", dict(registry._tools))
    settings.TOOL_MODULES = ["shop_tools"]
    apps.get_app_config("tools").ready()
    assert registry.get("shop_hours").effect == "none"
    del sys.modules["shop_tools"]


def test_a_module_that_is_not_there_is_named(settings: Settings) -> None:
    settings.TOOL_MODULES = ["nowhere.tools"]
    with pytest.raises(ImproperlyConfigured, match=r"'nowhere\.tools'"):
        apps.get_app_config("tools").ready()


def test_what_a_module_itself_misses_is_not_blamed_on_the_setting(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_tools.py").write_text("import nowhere_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings.TOOL_MODULES = ["broken_tools"]
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        apps.get_app_config("tools").ready()


def test_a_network_that_is_none_is_named_at_start(settings: Settings) -> None:
    settings.ALLOWED_NETWORKS = ["10.0.0.0/99"]
    with pytest.raises(ImproperlyConfigured, match=r"10\.0\.0\.0/99"):
        apps.get_app_config("tools").ready()
