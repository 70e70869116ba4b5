"""Scopes: where the keys of steps are counted.

A key is the step's name and how often that name came before in its scope. Each parallel branch is a scope of its own,
so branches replay in any order. A scope belongs to one asyncio task.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from datetime import datetime
from hashlib import blake2b

from agents.engine.errors import WorkflowError

MAX_NAME = 200
MAX_KEY = 480
"""Of a key's 500 characters the rest is for the count, and for the names of messages about the step."""


class Scope:
    """One sequence of steps. `path` is "" or ends in "/", `now` is what ctx.now() derives from.

    `join` is set for a branch that does nothing but await one sub-run: the gather it belongs to. `mark` says what of it
    is on the processor, for those who find the process dead (marks.py).
    """

    __slots__ = ("_counts", "join", "mark", "now", "path", "task")

    def __init__(self, path: str, now: datetime, join: str = "") -> None:
        self.path = path
        self.now = now
        self.join = join
        self.task: asyncio.Task[object] | None = None
        self.mark = b""
        self._counts: dict[str, int] = {}

    def coming_key(self, name: str) -> str:
        """Give what `next_key` would give."""
        name = _tidy(name)
        return f"{self.path}{name}#{self._counts.get(name, 0)}"

    def next_key(self, name: str) -> str:
        """Give the key of the next step of this name; raises WorkflowError where branches are nested too deep."""
        if len(name) > MAX_NAME or "/" in name or not name.isprintable():
            name = _tidy(name)
        if len(self.path) + len(name) > MAX_KEY:
            raise WorkflowError(f"Branches are nested too deep: the key of the step {name!r} would be too long.")
        count = self._counts.get(name, 0)
        self._counts[name] = count + 1
        return f"{self.path}{name}#{count}"

    def saw(self, at: datetime | None) -> None:
        """Take note of when the outcome was recorded that this scope has just seen."""
        if at is not None and at > self.now:
            self.now = at


def _tidy(name: str) -> str:
    """Give a name that fits into a key: names may come from a model. "/" is the mark of branches."""
    tidy = "".join(c if c.isprintable() and c != "/" else "." for c in name)
    if len(tidy) > MAX_NAME:
        tidy = f"{tidy[: MAX_NAME - 9]}~{blake2b(name.encode('utf-8', 'replace'), digest_size=4).hexdigest()}"
    return tidy


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
