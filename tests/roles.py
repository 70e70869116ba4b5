"""A model that plays several agents: which one, its instructions tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agents.engine.canonical import encode
from agents.engine.errors import Permanent
from agents.engine.messages import Reply, ToolCall, Usage
from agents.engine.ports import ModelRequest

Line = Reply | str | Mapping[str, Any]
"""A reply as a whole, by its text, or an answer with a form by its value."""


class Roles:
    """A script for each role, found by words of its instructions; it remembers what each was asked."""

    def __init__(self, scripts: Mapping[str, Sequence[Line]]) -> None:
        self._scripts = {words: list(lines) for words, lines in scripts.items()}
        self.requests: list[tuple[str, ModelRequest]] = []

    async def respond(self, request: ModelRequest, stream: Callable[[str], None]) -> Reply:
        system = request.messages[0].text
        words = next((words for words in self._scripts if words in system), "")
        self.requests.append((words, request))
        if request.info is not None:
            await request.info.begin()
        if not self._scripts.get(words):
            raise Permanent("The script of this role has no reply left.")
        line = self._scripts[words].pop(0)
        if isinstance(line, Reply):
            return line
        return Reply("assistant", line if isinstance(line, str) else encode(line), model=request.model)

    def asked(self, words: str) -> list[ModelRequest]:
        """Give what a role was asked, in order."""
        return [request for role, request in self.requests if role == words]

    async def at_most(self, request: ModelRequest) -> Usage:
        """Nobody pays."""
        return Usage(0, 0, 0)

    async def context(self, model: str, workspace_id: int) -> int | None:
        return None

    async def aclose(self) -> None:
        """Nothing is open."""


def calls(*named: tuple[str, dict[str, Any]]) -> Reply:
    """Make a reply that calls these tools."""
    made = tuple(ToolCall(f"call-{i}", name, arguments) for i, (name, arguments) in enumerate(named))
    return Reply("assistant", "", tool_calls=made, finish="tool_calls", model="test:m")
