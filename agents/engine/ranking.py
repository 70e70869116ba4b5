"""The order of the queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection

from agents.engine.journal.store import PRIORITY_BOOST_US, RUN_COST_US

# The commit of this statement alone need not reach the disk: a crash that undoes it sets the virtual time back by what
# the workspace queued within the last fraction of a second, and what it queues next is ranked by the present again.
TAKE_PLACE = """
WITH lazily AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', TRUE))
UPDATE agents_workspace
SET queue_tag = greatest(queue_tag, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) + %s
FROM lazily WHERE id = %s RETURNING queue_tag, extract(epoch FROM clock_timestamp())
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A run's place in the queue, and the database's time at which it was taken."""

    rank: int
    at: datetime


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


def take_place(workspace_id: int, priority: int) -> Place | None:
    """Take a place in the queue ahead of the transaction that writes the run, where that is possible: else None.

    Taken within it, the workspace's row would be locked until its commit is on the disk, and requests of the same
    workspace would wait for one another's disk writes instead of sharing one. A place whose run is not written after
    all costs nothing.
    """
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        return None
    with connection.cursor() as cursor:
        cursor.execute(TAKE_PLACE, [RUN_COST_US, workspace_id])
        tag, seconds = cursor.fetchone()
    return Place(int(tag) - priority * PRIORITY_BOOST_US, datetime.fromtimestamp(float(seconds), UTC))
