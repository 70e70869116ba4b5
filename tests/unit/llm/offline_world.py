"""A small world for the offline model: documents, a plain search over them, and the loop an agent goes through."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from agents.engine.messages import Citation, Message, Reply, ToolCall, ToolResult, user
from agents.engine.ports import ModelRequest, ToolSpec
from agents.llm.offline import OfflineModel
from agents.llm.offline.text import is_stopword, stems
from agents.services.passages import split
from tools.builtin.arithmetic import evaluate

MAX_ROUNDS = 8


def tool(name: str, parameter: str) -> ToolSpec:
    """Make a tool's specification with one parameter."""
    schema = {"type": "object", "properties": {parameter: {"type": "string"}}, "required": [parameter]}
    return ToolSpec(name=name, description=name, parameters=schema)


TOOLS = (
    tool("search_documents", "query"),
    tool("web_fetch", "url"),
    tool("calculate", "expression"),
    tool("wait", "seconds"),
)


class World:
    """Documents by title and pages by address, with tools that answer from them."""

    def __init__(self, documents: Mapping[str, str], pages: Mapping[str, str] | None = None) -> None:
        self.pages = dict(pages or {})
        self.calls: list[ToolCall] = []
        self.texts: dict[str, str] = dict(self.pages)
        self._passages: list[Citation] = []
        for number, (title, text) in enumerate(documents.items(), 1):
            self.texts[f"document:{number}"] = text
            self._passages += [Citation(f"document:{number}", title, text[a:b], f"{a}-{b}") for a, b in split(text)]

    def run(self, goal: str, tools: tuple[ToolSpec, ...] = TOOLS) -> tuple[Reply, int]:
        """Let the model work until it answers; gives the answer and the rounds it took."""
        chat: list[Message] = [user(goal)]
        self.calls = []
        for rounds in range(1, MAX_ROUNDS + 1):
            chunks: list[str] = []
            request = ModelRequest("offline", tuple(chat), tools)
            reply = asyncio.run(OfflineModel().respond(request, chunks.append))
            assert "".join(chunks) == reply.text
            chat.append(reply)
            if not reply.tool_calls:
                return reply, rounds
            self.calls += reply.tool_calls
            chat += [self._call(call) for call in reply.tool_calls]
        raise AssertionError(f"no answer after {MAX_ROUNDS} rounds")

    def _call(self, call: ToolCall) -> ToolResult:
        value = next(iter(call.arguments.values()))
        match call.name:
            case "search_documents":
                return self._search(call, value)
            case "web_fetch" if value in self.pages:
                page = (Citation(source=value, title=f"Page {value}"),)
                return ToolResult("tool", self.pages[value], call_id=call.id, name=call.name, citations=page)
            case "web_fetch":
                return ToolResult("tool", "404 not found", call_id=call.id, name=call.name, ok=False)
            case "calculate":
                text = f"{value} = {evaluate(value).text}"
                return ToolResult("tool", text, call_id=call.id, name=call.name)
            case _:
                return ToolResult("tool", f"Waited {value:g} seconds.", call_id=call.id, name=call.name)

    def _search(self, call: ToolCall, query: str) -> ToolResult:
        wanted = {stem for stem in stems(query) if not is_stopword(stem, "en")}
        scored = [(len(wanted & set(stems(f"{p.title} {p.quote}"))), -i) for i, p in enumerate(self._passages)]
        best = [self._passages[-i] for score, i in sorted(scored, reverse=True)[:6] if score]
        text = "\n\n".join(f"[{p.source}] {p.title}\n{p.quote}" for p in best)
        return ToolResult(
            "tool", text or "nothing", call_id=call.id, name=call.name, citations=tuple(best), data={"passages": []}
        )
