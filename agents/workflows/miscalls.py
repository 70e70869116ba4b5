"""Calls that a model makes wrongly: it is told why and tries again, but not for ever."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from agents.engine import Permanent
from agents.engine.messages import ToolResult
from tools.errors import InvalidArguments, UnknownTool

MAX_WRONG_CALLS = 3
WRONG = (InvalidArguments.__name__, UnknownTool.__name__)


class TooManyWrongCalls(Permanent):
    """The model called a tool wrongly again and again, although it was told each time what is wrong."""


class Miscalls:
    """Counts for each tool the turns in a row in which a model called it and no call was right."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._turns: defaultdict[str, int] = defaultdict(int)

    def note(self, results: Sequence[ToolResult]) -> None:
        """Take note of the results of one turn; raises TooManyWrongCalls when a tool has had `most` wrong turns."""
        right = {result.name for result in results if result.error not in WRONG}
        wrong = {result.name: result for result in results if result.name not in right}
        for name in right:
            self._turns[name] = 0
        for name, result in wrong.items():
            self._turns[name] += 1
            if self._turns[name] >= self._most:
                times = "once" if self._most == 1 else f"{self._most} times in a row"
                raise TooManyWrongCalls(f"The model called {name} wrongly {times}. The last time: {result.text}")
