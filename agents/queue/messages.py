"""Tasks as django-q2's queue carries them: a dotted name and plain values, packed and signed."""

from __future__ import annotations

import math
from typing import Any
from uuid import UUID

from django.utils import timezone
from django_q.signing import SignedPackage

LONGEST_WAIT = 3600
"""Seconds that a call may wait for its limits before its own time begins."""
MARGIN = 60


def hint() -> str:
    """Give the task that pokes the driver of a worker process."""
    return _packed("agents.queue.tasks.poke", id="0" * 32, name="hint")


def call_message(token: UUID, seconds: float) -> str:
    """Give the task that executes a tool's call in a process of its own.

    Whoever sees to the process ends it in time; the time that django-q2 is told is for the case that he hangs.
    """
    timeout = LONGEST_WAIT + math.ceil(seconds) + MARGIN
    return _packed("agents.queue.tasks.carry_out", str(token), id=token.hex, name="process call", timeout=timeout)


def _packed(function: str, *arguments: str, **more: Any) -> str:
    task = {"func": function, "args": arguments, "kwargs": {}, "started": timezone.now(), "save": False, **more}
    package: str = SignedPackage.dumps(task)
    return package
