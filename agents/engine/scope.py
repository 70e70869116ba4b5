"""Scopes: where the keys of steps are counted.

A key is the step's name and how often that name came before in its scope. Each parallel branch is a scope of its own,
so branches replay in any order. A scope belongs to one asyncio task.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from datetime import datetime


class Scope:
    """One sequence of steps. `path` is "" or ends in "/", `now` is what ctx.now() derives from.

    `join` is set for a branch that does nothing but await one sub-run: the gather it belongs to.
    """

    __slots__ = ("_counts", "join", "now", "path", "task")

    def __init__(self, path: str, now: datetime, join: str = "") -> None:
        self.path = path
        self.now = now
        self.join = join
        self.task: asyncio.Task[object] | None = None
        self._counts: dict[str, int] = {}

    def next_key(self, name: str) -> str:
        """Give the key of the next step of this name."""
        count = self._counts.get(name, 0)
        self._counts[name] = count + 1
        return f"{self.path}{name}#{count}"

    def saw(self, at: datetime | None) -> None:
        """Take note of when the outcome was recorded that this scope has just seen."""
        if at is not None and at > self.now:
            self.now = at


current_scope: ContextVar[Scope | None] = ContextVar("current_scope", default=None)


def is_superseded_with(key: str, failed: str) -> bool:
    """Whether a step that started after `failed` had failed lies in one of its ancestor scopes.

    Steps of sibling branches of the same gather do not: they owe nothing to the failure.
    """
    ours, theirs = failed.split("/"), key.split("/")
    for level in range(min(len(ours), len(theirs))):
        if ours[level] != theirs[level]:
            # Odd levels are branch numbers: another number under the same gather is a sibling branch.
            return level % 2 == 0
    return True
