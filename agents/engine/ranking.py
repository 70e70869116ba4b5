"""The order of the queue."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from agents.engine.journal.store import PRIORITY_BOOST_US, RUN_COST_US


def next_rank(workspace_id: int, now: datetime, priority: int) -> int:
    """Advance a workspace's virtual time by one run and give the run's rank, in one statement.

    Ranks are virtual times: a workspace with a long backlog has its next run far in the future, another one's first
    run is due now.
    """
    greatest = "max" if connection.vendor == "sqlite" else "greatest"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE agents_workspace SET queue_tag = {greatest}(queue_tag, %s) + %s"  # noqa: S608 (a function's name)
            " WHERE id = %s RETURNING queue_tag",
            [int(now.timestamp() * 1_000_000), RUN_COST_US, workspace_id],
        )
        return int(cursor.fetchone()[0]) - priority * PRIORITY_BOOST_US
