"""What is wrong with a definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `field` is its path in the definition, as `caps.steps`; empty for the whole."""

    field: str
    message: str


class Malformed(ValueError):
    """This is no definition of an agent; `problems` say why, one for each place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(f"{first.field}: {first.message}" if first.field else first.message)
        self.problems = tuple(problems)
