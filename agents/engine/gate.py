"""The gate of a run: nothing new of it starts while it is paused or its worker stops."""

from __future__ import annotations

import asyncio
from typing import Literal

from agents.engine.branches import Branches


class Gate:
    """Where the branches of a run wait while nothing new may start; `hold` says why, and is empty while it is open."""

    __slots__ = ("_branches", "_waiting", "hold")

    def __init__(self, branches: Branches) -> None:
        self.hold: Literal["", "pause", "drain"] = ""
        self._branches = branches
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def is_waited_at(self) -> bool:
        """Whether a branch has come here to start something."""
        return bool(self._waiting)

    def heed(self, wanted: str) -> None:
        """Shut or open as somebody wants of the run. A worker that stops opens it no more."""
        if self.hold != "drain":
            self.hold = "pause" if wanted == "pause" else ""
        if not self.hold:
            waiting, self._waiting = self._waiting, []
            for branch in waiting:
                self._branches.resume(branch)

    async def wait(self) -> None:
        """Wait until it is opened; it may be shut again by then."""
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(opened)
        await self._branches.blocked(opened)
