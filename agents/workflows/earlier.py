"""What was said in a conversation before a run's goal, as the run's input has it."""

from __future__ import annotations

from agents.engine import Permanent
from agents.engine.canonical import JSON
from agents.engine.messages import Message

ROLES = ("user", "assistant")


class UnreadableEarlier(Permanent):
    """What the input says of earlier messages can't be read."""


def earlier_messages(input: JSON) -> list[Message]:
    """Give `earlier` of a run's input as messages, the oldest first; none if the input has none.

    Raises UnreadableEarlier unless it is a list of {"role": "user" or "assistant", "text": "…"}.
    """
    said = input.get("earlier") if isinstance(input, dict) else None
    if said is None:
        return []
    if not isinstance(said, list) or not all(_is_message(message) for message in said):
        raise UnreadableEarlier('`earlier` is a list of {"role": "user" or "assistant", "text": "…"}.')
    return [Message(role=message["role"], text=message["text"]) for message in said]


def _is_message(message: JSON) -> bool:
    return isinstance(message, dict) and message.get("role") in ROLES and isinstance(message.get("text"), str)
