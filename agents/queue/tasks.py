"""What django-q2 executes: dotted names with plain arguments."""

from __future__ import annotations

from uuid import UUID

from agents.queue import supervising, worker_process


def poke() -> None:
    """Tell this process's driver that there may be due runs, or news of the running ones."""
    worker_process.poke()


def carry_out(token: str) -> None:
    """Execute the tool's call of this token in a process of its own."""
    supervising.carry_out(UUID(token))
