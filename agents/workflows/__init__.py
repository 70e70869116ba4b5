"""The built-in workflows."""

from __future__ import annotations

from importlib import import_module

BUILTIN = (
    "agents.workflows.react",
    "agents.workflows.team",
    "agents.workflows.mapping",
    "agents.workflows.pipeline",
)


def load_builtin() -> None:
    """Import the built-in workflows, which registers them."""
    for module in BUILTIN:
        import_module(module)
