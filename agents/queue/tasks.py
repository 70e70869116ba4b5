"""What django-q2 executes: dotted names with plain arguments."""

from __future__ import annotations

from agents.queue import worker_process


def poke() -> None:
    """Tell this process's driver that there may be due runs, or news of the running ones."""
    worker_process.poke()
