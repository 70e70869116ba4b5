"""Connections to PostgreSQL beside Django's, and how long a statement may take on any of them.

The settings say how a machine that is cut off is noticed, by either side; all connections inherit that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

OWN_SESSIONS = "agentsite"
"""What the names of all our sessions begin with."""
DJANGO_OWN = ("cursor_factory", "context", "pool", "server_side_binding")


def postgres_parameters(purpose: str) -> dict[str, Any]:
    """Give psycopg's parameters for a connection of our own, whose `purpose` the server shows in its list."""
    parameters: dict[str, Any] = connection.get_connection_params()
    for name in DJANGO_OWN:
        parameters.pop(name, None)
    return {**parameters, "application_name": f"{OWN_SESSIONS} {purpose}"}


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


@contextmanager
def bounded_statements(seconds: float) -> Iterator[None]:
    """Limit the statements on Django's connection of this thread within the block."""
    known = connection.settings_dict
    connection.close()
    bound_statements(seconds)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = known


def end_hanging_sessions(seconds: float) -> None:
    """End our sessions whose client has stopped in the midst of sending statements, for this long.

    They keep the locks of their transaction, and none of the server's limits ends them: between two statements of a
    pipeline a session is neither idle nor is a statement running. A machine that is gone is noticed by the network; a
    process that hangs is not, for its machine answers.
    """
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND usename = current_user AND application_name LIKE %s AND pid <> pg_backend_pid()"
            " AND state = 'active' AND wait_event = 'ClientRead'"
            " AND query_start < clock_timestamp() - make_interval(secs => %s)",
            [f"{OWN_SESSIONS}%", seconds],
        )
