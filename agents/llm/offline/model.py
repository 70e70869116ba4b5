"""The model named "offline": rules instead of weights, quotes instead of prose, no network."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from agents.engine.canonical import encode
from agents.engine.messages import Citation, Reply, ToolCall, Usage
from agents.engine.ports import ModelRequest
from agents.engine.thinking import MEND
from agents.llm.config import OFFLINE
from agents.llm.offline.answer import write_answer
from agents.llm.offline.goal import read_goal
from agents.llm.offline.plan import next_calls, say_calls
from agents.llm.offline.roles import fill_form, fill_text
from agents.llm.offline.sources import read_conversation
from tools.threads import compute

LARGE = 2_000
"""Characters above which reading takes longer than the event loop may be held, some milliseconds."""

_PIECE = re.compile(r"\S+\s*|\s+")
_WORDS_PER_PIECE = 12


class OfflineModel:
    """Answers as a model does: it reads the conversation, calls tools, and answers when it has seen enough."""

    async def respond(self, request: ModelRequest, stream: Callable[[str], None]) -> Reply:
        """Give the next message of the conversation."""
        reply = await compute(_reply, request) if is_heavy(request) else _reply(request)
        for piece in _pieces(reply.text):
            stream(piece)
            await asyncio.sleep(0)
        return reply


def is_heavy(request: ModelRequest) -> bool:
    """Whether answering takes long enough to be done elsewhere, and to count for the limit on computing."""
    return sum(len(message.text) for message in request.messages) > LARGE


def _reply(request: ModelRequest) -> Reply:
    if request.output is not None and (filled := fill_form(request.output, request.messages)) is not None:
        return _message(encode(filled))
    findings = read_conversation(request.messages)
    goal = read_goal(findings.goal)
    # Whose answer did not have its form does not begin to search anew: it is the form that is missed.
    calls = next_calls(goal, findings, request.tools) if request.tools and not _is_handed_back(request) else []
    if calls:
        return _message(say_calls(calls), calls=tuple(calls))
    answer = write_answer(goal, findings)
    filled = None if request.output is None else fill_text(request.output, answer.text)
    return _message(answer.text if filled is None else encode(filled), citations=tuple(answer.citations))


def _is_handed_back(request: ModelRequest) -> bool:
    last = request.messages[-1]
    return last.role == "user" and last.text.startswith(MEND.partition("{")[0])


def _message(text: str, *, calls: tuple[ToolCall, ...] = (), citations: tuple[Citation, ...] = ()) -> Reply:
    return Reply(
        role="assistant",
        text=text,
        tool_calls=calls,
        usage=Usage(0, 0, cost_microusd=0),
        model=OFFLINE,
        finish="tool_calls" if calls else "stop",
        citations=citations,
    )


def _pieces(text: str) -> list[str]:
    found = _PIECE.findall(text)
    return ["".join(found[i : i + _WORDS_PER_PIECE]) for i in range(0, len(found), _WORDS_PER_PIECE)]
