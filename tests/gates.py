"""What steps do to an outside world that holds them up."""

from __future__ import annotations

import threading
from typing import Any

from agents.engine import Permanent
from tests.driving import PATIENCE


class GatedWorld:
    """What steps do; each waits at its gate until it is opened."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.began = threading.Event()
        self.release = threading.Event()
        self.fails = True

    def act(self, what: Any) -> Any:
        self.done.append(what)
        return what

    def wait(self, what: Any) -> Any:
        self.began.set()
        assert self.release.wait(PATIENCE)
        return self.act(what)

    def fail(self, what: Any) -> Any:
        self.done.append(what)
        if self.fails:
            raise Permanent(f"{what} failed")
        return what
