"""Connections to PostgreSQL beside Django's, and how long a statement may take on any of them.

The settings say how a machine that is cut off is noticed, by either side; all connections inherit that.
"""

from __future__ import annotations

from typing import Any

from django.db import connection

DJANGO_OWN = ("cursor_factory", "context", "pool", "server_side_binding")


def postgres_parameters(purpose: str) -> dict[str, Any]:
    """Give psycopg's parameters for a connection of our own, whose `purpose` the server shows in its list."""
    parameters: dict[str, Any] = connection.get_connection_params()
    for name in DJANGO_OWN:
        parameters.pop(name, None)
    return {**parameters, "application_name": f"agentsite {purpose}"}


def with_patience(options: str, seconds: float) -> str:
    """Add to a connection's `options` that neither a statement nor a pause within a transaction may take longer."""
    milliseconds = int(seconds * 1000)
    return (
        f"{options} -c statement_timeout={milliseconds} -c idle_in_transaction_session_timeout={milliseconds}".strip()
    )


def bound_statements(seconds: float) -> None:
    """Limit the statements on Django's connection of this thread, from the next time it connects."""
    if connection.vendor != "postgresql":
        return
    known = connection.settings_dict
    options = {**known["OPTIONS"], "options": with_patience(known["OPTIONS"].get("options", ""), seconds)}
    # A dictionary of its own: the other threads' connections share theirs.
    connection.settings_dict = {**known, "OPTIONS": options}
