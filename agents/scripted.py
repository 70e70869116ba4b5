"""The ports of the engine for tests: a model and tools that do as they were told, and files in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from uuid import UUID

from agents.engine.canonical import JSON
from agents.engine.errors import Permanent
from agents.engine.messages import Reply, ToolResult, Usage
from agents.engine.ports import CallInfo, ModelRequest, Need, ToolSpec


class ScriptedModel:
    """A model that gives prepared replies, one per call; it remembers what it was asked."""

    def __init__(self, replies: Iterable[Reply | str | Exception] = ()) -> None:
        self.replies = list(replies)
        self.requests: list[ModelRequest] = []
        self.most = Usage(0, 0, 0)
        """What each call is taken to need at most."""

    async def respond(self, request: ModelRequest, stream: Callable[[str], None]) -> Reply:
        self.requests.append(request)
        if request.info is not None:
            await request.info.begin()
        if not self.replies:
            raise Permanent("The scripted model has no reply left.")
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, str):
            reply = Reply("assistant", reply, model=request.model)
        stream(reply.text)
        return reply

    async def at_most(self, request: ModelRequest) -> Usage:
        return self.most

    async def context(self, model: str, workspace_id: int) -> int | None:
        return None

    async def aclose(self) -> None:
        """Nothing is open."""


class ScriptedTools:
    """Tools from plain async functions `(arguments, info) -> ToolResult | str`."""

    def __init__(self, **functions: Callable[[JSON, CallInfo], Awaitable[ToolResult | str]]) -> None:
        self.functions = functions
        self.effects: dict[str, ToolSpec] = {}
        self.needs: dict[str, Need] = {}
        """What needs a person's word once the run is tainted."""

    def spec(self, name: str) -> ToolSpec:
        if name not in self.functions:
            raise KeyError(name)
        return self.effects.get(name) or ToolSpec(name, name, {"type": "object"})

    def specs(self, names: Iterable[str]) -> list[ToolSpec]:
        return [self.spec(name) for name in names if name in self.functions]

    async def needs_approval(
        self, name: str, arguments: JSON, *, workspace_id: int, is_tainted: bool, because: str = ""
    ) -> Need | None:
        return Need(why=because) if because else self.needs.get(name) if is_tainted else None

    async def call(self, name: str, arguments: JSON, info: CallInfo) -> ToolResult:
        await info.begin()
        result = await self.functions[name](arguments, info)
        return ToolResult("tool", result, name=name) if isinstance(result, str) else result


class NoPartials:
    """Takes what is streamed, and lets it go."""

    def append(self, run_id: UUID, key: str, attempt: int, text: str) -> None:
        """Nobody watches a test."""


class MemoryArtifacts:
    """Keeps files in memory."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def write(self, workspace_id: int, content: bytes) -> str:
        address = f"{workspace_id}/{len(self.contents)}"
        self.contents[address] = content
        return address
