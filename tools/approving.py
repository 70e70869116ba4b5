"""Whether a call of a tool waits for a person, and what that person is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tools.errors import InvalidArguments
from tools.registry import Tool
from tools.types import JSON

WhenToAsk = Literal["when_tainted", "always", "declared"]
"""When a workspace wants calls with an effect to wait for a person: once the run has read what strangers may have
written, always, or only where the tool itself asks for it."""

EFFECTS = {
    "none": "It changes nothing outside.",
    "idempotent": "It changes something outside; doing it again would change nothing more.",
    "unsafe": "It acts outside, and doing it again would do it a second time.",
}
_TAINTED = (
    "The run has read content that strangers may have written: this call may be what they want, not what you want."
)
_OWN_RULE = "This tool asks a person before every call."
_OWN_RULE_HERE = "This tool asks a person before calls like this one."
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


def is_free(tool: Tool) -> bool:
    """Whether no policy and no taint can make a call of this tool wait."""
    return tool.effect == "none" and tool.approval in ("never", "when_tainted")


def request_for(tool: Tool, arguments: JSON, policy: Policy, *, is_tainted: bool, because: str = "") -> Request | None:
    """Give what to ask a person before this call, None if it is free; so is what the tool will refuse anyway.

    `because` is what the tool itself said when it was called without leave.
    """
    try:
        values = tool.validate(arguments)
    except InvalidArguments:
        return None
    why = because or _why(tool, values, policy, is_tainted=is_tainted)
    if not why:
        return None
    return Request(f"{tool.description.split(chr(10))[0]} {EFFECTS[tool.effect]}", why, describe(tool))


def _why(tool: Tool, values: Mapping[str, Any], policy: Policy, *, is_tainted: bool) -> str:
    """Say why a person is asked; nothing if nobody is. The tool's own rule holds whatever the workspace wants."""
    if tool.approval == "always":
        return _OWN_RULE
    if callable(tool.approval) and (found := _by_rule(tool.approval, values)):
        return found
    if tool.effect == "none":
        return ""
    if policy.when == "always":
        return _ALWAYS
    is_watched = policy.when == "when_tainted" and tool.approval != "never"
    return _TAINTED if is_tainted and is_watched else ""


def _by_rule(rule: Callable[[Mapping[str, JSON]], bool], values: Mapping[str, Any]) -> str:
    try:
        return _OWN_RULE_HERE if rule(values) else ""
    except Exception as error:  # noqa: BLE001 (the rule's author's code: whatever is wrong with it, a person looks)
        return f"The tool's own rule could not be applied ({type(error).__name__}), so a person is asked."


def describe(tool: Tool) -> str:
    """Give a digest of all that a person is told about a tool: 32 hex characters."""
    told: list[Any] = [tool.name, tool.description, tool.schema, tool.effect]
    text = json.dumps(told, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
