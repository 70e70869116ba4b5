"""The digest of a conversation, and what of it is new: both without going through all of it each time."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from agents.engine.canonical import JSON, encode
from agents.engine.messages import Message, Reply, ToolResult


class Conversation:
    """Remembers the conversation a run last asked with, so that a long one is hashed and stored only once."""

    def __init__(self) -> None:
        self._messages: tuple[Message, ...] = ()
        self._hash: Any = blake2b(digest_size=16)
        self._asked: tuple[Message, ...] = ()
        self._key = ""

    def digest(self, chat: tuple[Message, ...]) -> str:
        """Give the digest of a conversation, without ids that providers make anew each time."""
        known = len(self._messages)
        if not (known <= len(chat) and _same(chat[:known], self._messages)):
            self._hash, known = blake2b(digest_size=16), 0
        for message in chat[known:]:
            self._hash.update(encode(message.identity()).encode() + b"\n")
        self._messages = chat
        return str(self._hash.hexdigest())

    def delta(self, chat: tuple[Message, ...]) -> JSON:
        """Give what a step records of its conversation: what came since `after`, outcomes of steps by their key."""
        known = len(self._asked)
        if not (known <= len(chat) and _same(chat[:known], self._asked)):
            return {"messages": [_stored(message) for message in chat]}
        return {"after": self._key, "messages": [_stored(message) for message in chat[known:]]}

    def asked(self, chat: tuple[Message, ...], key: str) -> None:
        """Take note that the step `key` has asked with this conversation."""
        self._asked, self._key = chat, key


def _same(left: Sequence[Message], right: Sequence[Message]) -> bool:
    return all(a is b for a, b in zip(left, right, strict=True))


def _stored(message: Message) -> JSON:
    if isinstance(message, (Reply, ToolResult)) and message.step_key:
        return {"step": message.step_key}
    return message.to_json()
