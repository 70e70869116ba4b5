"""A workflow's conversation with its model: it stays within what the model takes, and ends in the form asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agents.engine import Context
from agents.engine.measuring import estimate
from agents.engine.messages import Message, Reply
from agents.engine.ports import ToolSpec

FULL = 0.6
"""Of the model's context, what a conversation may take before its older part is summarised. The rest is for what is
not counted here: the descriptions of tools, the answer, the error of the estimate."""
KEPT = 0.25
"""Of the model's context, what the latest messages may take that stay as they are."""
WORTH = 0.1
"""Of the model's context, what the older part has to take for a summary of it to be worth a call."""
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
        self._begun = len(self._chat)
        self._output = output
        self._repairs = repairs
        self._context: int | None = None

    def add(self, *messages: Message) -> None:
        """Go on with these messages; what the model said itself is among them if it is to be remembered."""
        self._chat += messages

    async def ask(self, tools: Iterable[str | ToolSpec], *, label: str | None = None) -> Reply:
        """Give the model's answer to all that was said. Raises what `Context.think` raises."""
        await self._compact()
        reply = await self._ctx.think(self._chat, tools=tools, label=label, output=self._output, repairs=self._repairs)
        self._context = reply.context
        return reply

    async def _compact(self) -> None:
        """Put a summary in the place of the older part, once the conversation has become too long for the model."""
        if self._context is None or estimate(self._chat) < self._context * FULL:
            return
        begins = [i for i, m in enumerate(self._chat) if i >= self._begun and m.role == "assistant"]
        if not begins:
            return
        # A reply stays together with the results of the calls in it.
        kept = next((i for i in begins if estimate(self._chat[i:]) <= self._context * KEPT), begins[-1])
        older = [message for message in self._chat[1:kept] if message is not self._task]
        if estimate(older) < self._context * WORTH:
            return
        summary = await self._ctx.compact([self._task, *older])
        self._chat = [self._chat[0], self._task, summary, *self._chat[kept:]]
        self._begun = 3
