"""Whether a call of a tool waits for a person, and what that person is told."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from tools.errors import InvalidArguments
from tools.registry import Tool
from tools.types import JSON

WhenToAsk = Literal["when_tainted", "always", "declared"]
"""When a workspace wants calls with an effect to wait for a person: once the run has read what strangers may have
written, always, or only where the tool itself asks for it."""

_EFFECTS = {
    "none": "It changes nothing outside.",
    "idempotent": "It changes something outside; doing it again would change nothing more.",
    "unsafe": "It acts outside, and doing it again would do it a second time.",
}
_TAINTED = (
    "The run has read content that strangers may have written: this call may be what they want, not what you want."
)
_ALWAYS = "This workspace wants a person to look at every call that has an effect."


@dataclass(frozen=True, slots=True)
class Policy:
    """What a workspace wants. `lasts` is for how many seconds a call waits for a decision."""

    when: WhenToAsk = "when_tainted"
    lasts: float = 3 * 86_400.0


@dataclass(frozen=True, slots=True)
class Request:
    """What a person is told about a call: its effect and why it asks, in words, and a digest of the tool's description.

    An approval is for the tool as it was described: `described` changes with name, description, parameters, effect.
    """

    effect: str
    why: str
    described: str


def request_for(tool: Tool, arguments: JSON, policy: Policy, *, is_tainted: bool) -> Request | None:
    """Give what to ask a person before this call, None if it is free; so is what the tool will refuse anyway."""
    why = _why(tool, policy, is_tainted=is_tainted)
    if not why:
        return None
    try:
        tool.validate(arguments)
    except InvalidArguments:
        return None
    return Request(f"{tool.description.split(chr(10))[0]} {_EFFECTS[tool.effect]}", why, describe(tool))


def _why(tool: Tool, policy: Policy, *, is_tainted: bool) -> str:
    """Say why a person is asked; nothing if nobody is."""
    if tool.effect == "none" or policy.when == "declared":
        return ""
    if policy.when == "always":
        return _ALWAYS
    return _TAINTED if is_tainted else ""


def describe(tool: Tool) -> str:
    """Give a digest of all that a person is told about a tool: 32 hex characters."""
    told: list[Any] = [tool.name, tool.description, tool.schema, tool.effect]
    text = json.dumps(told, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
