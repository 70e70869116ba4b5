"""Stops for tests that kill a process at a chosen place: whoever comes there first writes to the file STOPS, and stays.

What is on its way carries the place in its name: `order.dispatching` stops at `dispatching`, once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

FOR_EVER = 3600.0


def hold(place: str, names: Iterable[str]) -> None:
    """Stop here if one of these wants it and nobody has stopped here for it before."""
    hold_at({place: names})


def hold_at(places: Mapping[str, Iterable[str]]) -> None:
    """Stop in several places at once, for all that want it: what one commit did for them was done for all."""
    path = Path(os.environ["STOPS"])
    before = path.read_text().split()
    held = [name for place, names in places.items() for name in names if name.endswith(f".{place}")]
    if new := [name for name in held if name not in before]:
        with path.open("a") as file:
            file.write("".join(f"{os.getpid()} {name}\n" for name in new))
        time.sleep(FOR_EVER)


def around(owner: Any, name: str, after: Callable[..., None]) -> None:
    """Have something done after each call of a function of a module, or of a method of a class."""
    original = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        after(result, *args, **kwargs)
        return result

    setattr(owner, name, call)


def stopped(path: Path) -> list[tuple[int, str]]:
    """Give who stopped where: process and name. Used by the test."""
    return [(int(pid), name) for pid, name in (line.split() for line in path.read_text().splitlines())]
