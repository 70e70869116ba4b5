"""Calls that a model makes again and again with the same arguments: it is told once, and then the run is ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from agents.engine import Permanent
from agents.engine.canonical import digest
from agents.engine.messages import ToolCall, ToolResult

MAX_REPEATS = 5
REPEATED = "RepeatedCall"
MEANT_TO_BE_REPEATED = ("wait",)
"""What is done again for its own sake: time passes."""


class TooManyRepeats(Permanent):
    """The model made the same call again and again, and did so when it was told that this leads nowhere."""


class Repeats:
    """Counts how often a model makes each call with the same arguments; `most` is how often it is carried out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: Counter[str] = Counter()
        self._told: set[str] = set()

    def answers(self, calls: Sequence[ToolCall]) -> list[ToolResult | None]:
        """Give for each call of a turn what the model is told instead of a result, None for one to carry out.

        Raises TooManyRepeats when it was told in an earlier turn and makes the call all the same.
        """
        told_before = set(self._told)
        return [self._answer(call, told_before) for call in calls]

    def _answer(self, call: ToolCall, told_before: set[str]) -> ToolResult | None:
        if call.name in MEANT_TO_BE_REPEATED:
            return None
        same = digest([call.name, dict(call.arguments)])
        if same in told_before:
            raise TooManyRepeats(
                f"The model had called {call.name} with the same arguments {_times(self._most)}, was told that this "
                "leads nowhere, and did it again."
            )
        self._times[same] += 1
        if self._times[same] <= self._most:
            return None
        self._told.add(same)
        text = (
            f"You have made this call with the same arguments {_times(self._most)}; it was not made again. "
            "Go on with what you have found, or try something else: making it once more ends the run."
        )
        return ToolResult("tool", text, call_id=call.id, name=call.name, ok=False, error=REPEATED)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
