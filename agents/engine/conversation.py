"""The digest of a conversation, and what of it is new: both without going through all of it each time."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, TypeVar

from agents.engine.canonical import JSON, encode
from agents.engine.messages import Message, Reply, Summary, ToolResult

T = TypeVar("T")
Chat = tuple[Message, ...]

KNOWN = 4
"""How many conversations are remembered: a run asks in turns about its main one and about parts that lead nowhere."""


class Conversation:
    """Remembers what a run has asked with last, so that long conversations are hashed and stored only once."""

    def __init__(self) -> None:
        self._hashed: list[tuple[Chat, Any]] = []
        self._asked: list[tuple[Chat, str]] = []

    def digest(self, chat: Chat) -> str:
        """Give the digest of a conversation, without ids that providers make anew each time."""
        known, found = _longest(self._hashed, chat)
        hashed = blake2b(digest_size=16) if found is None else found.copy()
        for message in chat[len(known) :]:
            hashed.update(encode(message.identity()).encode() + b"\n")
        self._hashed = [(chat, hashed), *self._hashed][:KNOWN]
        return str(hashed.hexdigest())

    def delta(self, chat: Chat) -> JSON:
        """Give what a step records of its conversation: what came since `after`, outcomes of steps by their key."""
        known, key = _longest(self._asked, chat)
        new = [stored(message) for message in chat[len(known) :]]
        return {"messages": new} if key is None else {"after": key, "messages": new}

    def asked(self, chat: Chat, key: str) -> None:
        """Take note that the step `key` has asked with this conversation."""
        self._asked = [(chat, key), *self._asked][:KNOWN]


def stored(message: Message) -> JSON:
    """Give a message as a step's input holds it: what is the outcome of a step by that step's key."""
    if isinstance(message, (Reply, ToolResult, Summary)) and message.step_key:
        return {"step": message.step_key}
    return message.to_json()


def _longest(known: Sequence[tuple[Chat, T]], chat: Chat) -> tuple[Chat, T | None]:
    """Give the longest conversation that this one goes on from, with what is known of it."""
    found: tuple[Chat, T | None] = (), None
    for begun, value in known:
        if len(found[0]) < len(begun) <= len(chat) and all(a is b for a, b in zip(begun, chat, strict=False)):
            found = begun, value
    return found
