"""The clusters of worker processes, one for each queue."""

from __future__ import annotations

from agents.management.children import Program, agentsite

QUEUES = ("runs", "tools")
STOP_MARGIN = 15.0
"""Seconds beyond the grace of steps in which a cluster gives its leases back and ends its processes, itself."""
# django-q2 reads it when it is imported, long before a command can choose.
QUEUE_VARIABLE = "Q_CLUSTER_NAME"


def cluster_programs() -> list[Program]:
    """Return one program for each queue's cluster."""
    return [
        Program(f"worker:{queue}", agentsite("worker", "--queue", queue), {QUEUE_VARIABLE: queue}) for queue in QUEUES
    ]
