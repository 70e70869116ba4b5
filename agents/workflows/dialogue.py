"""A workflow's conversation with its model: it stays within what the model takes, and ends in the form asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agents.engine import Context
from agents.engine.measuring import estimate
from agents.engine.messages import Message, Reply
from agents.engine.ports import ToolSpec
from agents.workflows.prompts import is_offline

FULL = 0.6
"""Of the model's context, what a conversation may take before its older part is summarised. The rest is for what is
not counted here: the descriptions of tools, the answer, the error of the estimate."""
KEPT = 0.25
"""Of the model's context, what the latest messages may take that stay as they are."""
WORTH = 0.1
"""Of the model's context, what the older part has to take for a summary of it to be worth a call."""
SMALL = 2_000
"""Tokens that any model takes: a conversation that begins with fewer does not ask how large its model is."""
REPAIRS = 2


class Dialogue:
    """What was said so far. `task` is the message that sets the goal; it and the instructions are never summarised.

    With `output`, a JSON schema, an answer that does not fit is handed back at most `repairs` times.
    """

    def __init__(
        self,
        ctx: Context,
        instructions: Message,
        earlier: Sequence[Message],
        task: Message,
        *,
        output: Mapping[str, Any] | None = None,
        repairs: int = REPAIRS,
    ) -> None:
        self._ctx = ctx
        self._task = task
        self._chat = [instructions, *earlier, task]
        self._output = output
        self._repairs = repairs
        self._context: int | None = None
        self._is_begun = False

    def add(self, *messages: Message) -> None:
        """Go on with these messages; what the model said itself is among them if it is to be remembered."""
        self._chat += messages

    async def ask(self, tools: Iterable[str | ToolSpec], *, label: str | None = None) -> Reply:
        """Give the model's answer to all that was said. Raises what `Context.think` raises."""
        if not self._is_begun and len(self._chat) > 2 and estimate(self._chat) > SMALL and not is_offline(self._ctx):
            # Later on each reply tells.
            self._context = await self._ctx.model_context()
        self._is_begun = True
        await self._compact()
        reply = await self._ctx.think(self._chat, tools=tools, label=label, output=self._output, repairs=self._repairs)
        self._context = reply.context
        return reply

    async def _compact(self) -> None:
        """Put a summary in the place of the older part, once the conversation has become too long for the model."""
        if self._context is None or estimate(self._chat) < self._context * FULL:
            return
        at = next(i for i, message in enumerate(self._chat) if message is self._task)
        begins = [i for i in range(2, len(self._chat)) if self._may_begin(i, at)]
        if not begins:
            return
        kept = next((i for i in begins if estimate(self._chat[i:]) <= self._context * KEPT), begins[-1])
        older = [message for message in self._chat[1:kept] if message is not self._task]
        if estimate(older) < self._context * WORTH:
            return
        summary = await self._ctx.compact([self._task, *older])
        goal = [self._task] if kept > at else []
        self._chat = [self._chat[0], *goal, summary, *self._chat[kept:]]

    def _may_begin(self, i: int, at: int) -> bool:
        """Whether what is kept may begin here: a call stays with its results, a question with its answer."""
        return i == at or self._chat[i].role == ("user" if i < at else "assistant")
