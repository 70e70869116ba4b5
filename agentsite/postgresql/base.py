"""A connection is asked whether it lives only if there is a sign that it does not.

Before a request uses its thread's connection, Django sends `SELECT 1` over it: a quarter of the round trips that a
request takes. A server that has gone, or has ended the session, has said so or hung up, and either can be read.
What can't be noticed so, a network that is cut, `SELECT 1` would wait for no less than the request itself does.
"""

from __future__ import annotations

import select
from typing import Any

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to a PostgreSQL server."""

    def is_usable(self) -> bool:
        connection: Any = self.connection
        if connection is None or connection.closed:
            return False
        if _is_silent(connection.fileno()):
            return True
        # Perhaps a mere notice.
        usable: bool = super().is_usable()
        return usable


def _is_silent(socket: int) -> bool:
    """Tell whether the other side has neither sent anything nor hung up."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return not poll.poll(0)
