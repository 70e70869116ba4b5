"""The form that an answer is to have, for models whose provider does not take it along with the request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agents.engine.messages import Message, system

FORM = (
    "Your final answer must be one JSON value that fits the JSON schema below, with nothing before or after it: no "
    "words, no fence. While you still need tools, call them instead.\n\n{}"
)


def with_form(messages: Sequence[Message], schema: Mapping[str, Any]) -> tuple[Message, ...]:
    """Give the conversation with the form told in its first message, where what the model is to be stands."""
    told = FORM.format(json.dumps(schema, ensure_ascii=False))
    if messages and messages[0].role == "system":
        return (replace(messages[0], text=f"{messages[0].text}\n\n{told}"), *messages[1:])
    return (system(told), *messages)


def has_fixed_fields(schema: Any) -> bool:
    """Whether all objects in a schema name their fields and allow no others."""
    if isinstance(schema, Mapping):
        if schema.get("additionalProperties") or schema.get("patternProperties"):
            return False
        is_object = schema.get("type") == "object" or (
            isinstance(schema.get("type"), list) and "object" in schema["type"]
        )
        if is_object and not isinstance(schema.get("properties"), Mapping):
            return False
        return all(has_fixed_fields(part) for part in schema.values())
    if isinstance(schema, list):
        return all(has_fixed_fields(part) for part in schema)
    return True
