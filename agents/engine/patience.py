"""How long a run that only waits stays in memory before it is parked."""

from __future__ import annotations

import asyncio

from agents.engine.host import Host
from agents.engine.waiting import Waiting

CLOCK_STEP = 0.001


class Patience:
    """Keeps a run whose next timer is due soon, and for a while one that a sub-run may answer at any moment."""

    __slots__ = ("_host", "_signal", "_until", "_waiting")

    def __init__(self, waiting: Waiting, host: Host, signal: asyncio.Event) -> None:
        """`signal` is set when the while is over."""
        self._waiting = waiting
        self._host = host
        self._signal = signal
        self._until = 0.0

    def renew(self) -> None:
        """Begin anew: the run has just come to rest."""
        self._until = 0.0

    def is_left(self) -> bool:
        """Whether the run stays."""
        due = self._waiting.next_due()
        if due is not None and due <= self._host.short_pause:
            return True
        if not (self._host.linger and self._waiting.expects_messages()):
            return False
        loop = asyncio.get_running_loop()
        if not self._until:
            self._until = loop.time() + self._host.linger
            loop.call_at(self._until, self._signal.set)
        return loop.time() < self._until - CLOCK_STEP
