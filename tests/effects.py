"""An outside world that remembers what was done to it."""

from __future__ import annotations

from typing import Any


class Effects:
    """An outside world that remembers what was done to it."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    async def do(self, what: Any) -> Any:
        self.done.append(what)
        return what
