"""Ordinary tasks that were set aside."""

from __future__ import annotations

from agents.models import Delivery
from agents.queue import deliveries
from agents.services.errors import Conflict


def put_back_task(delivery: Delivery) -> None:
    """Queue a task again that was set aside; raises Conflict for one that is queued."""
    if delivery.set_aside_at is None:
        raise Conflict("This task is queued already.")
    deliveries.put_back(delivery)
