"""How many tokens a conversation takes, before any model has counted them.

The rule: one token for each four characters of ASCII, one for each other character, and four for each message. For
English it is some tenths too high, and high is what is wanted of it: what was taken to fit must fit.
"""

from __future__ import annotations

from collections.abc import Iterable

from agents.engine.canonical import encode
from agents.engine.messages import Message

PER_TOKEN = 4
PER_MESSAGE = 4


def estimate_text(text: str) -> int:
    """Give about how many tokens a text takes."""
    ascii = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    return -(-ascii // PER_TOKEN) + len(text) - ascii


def estimate(messages: Iterable[Message]) -> int:
    """Give about how many tokens messages take, with the calls in them."""
    return sum(
        PER_MESSAGE
        + estimate_text(message.text)
        + sum(PER_MESSAGE + estimate_text(call.name + encode(dict(call.arguments))) for call in message.tool_calls)
        for message in messages
    )
