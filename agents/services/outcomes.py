"""Outcomes of steps: read wherever they are kept, and brought into that form when a person has written them."""

from __future__ import annotations

from typing import Any

import orjson
import zstandard
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.engine.canonical import JSON, encode, recorded
from agents.engine.errors import NotEncodable
from agents.engine.messages import Reply, ToolResult
from agents.models import LargeOutcome, Step
from agents.services.errors import InvalidInput

MAX_OUTCOME = 5_000_000
"""Characters that an outcome has at most, as JSON."""
_PLAIN = ("step", "call", "artifact")
EDITABLE = ("think", "tool", *_PLAIN)
"""Kinds of steps whose outcome a person may write. Approvals are given on their card, times and turns by the engine."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Call(_Form):
    id: str = ""
    name: str = Field(min_length=1, max_length=200)
    arguments: dict[str, Any] = {}


class _Citation(_Form):
    source: str
    title: str = ""
    quote: str = ""
    locator: str = ""


class _Usage(_Form):
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int | None = None


class _Reply(_Form):
    text: str = ""
    tool_calls: list[_Call] = []
    usage: _Usage = _Usage()
    model: str = ""
    finish: str = ""
    native: Any = None
    citations: list[_Citation] = []


class _ToolResult(_Form):
    text: str
    ok: bool = True
    data: Any = None
    citations: list[_Citation] = []
    name: str = ""
    call_id: str = ""
    cached: bool = False
    error: str = ""


def outcome_of(step: Step) -> JSON:
    """Give a step's outcome, wherever it is kept."""
    if step.large is None:
        return step.outcome
    data = LargeOutcome.objects.filter(pk=step.large, run_id=step.run_id).values_list("data", flat=True).first()
    return None if data is None else orjson.loads(zstandard.ZstdDecompressor().decompress(bytes(data)))


def edited_outcome(step: Step, present: JSON, value: JSON) -> JSON:
    """Give an outcome as steps of this kind keep it; raises InvalidInput, naming what is wrong with it.

    `present` is what the step has now. A bare text stands for a model's answer, or a tool's result, that is nothing
    but this text.
    """
    if step.kind not in EDITABLE:
        raise InvalidInput(f"What came out of a step of kind {step.kind} can't be edited.", "outcome")
    match step.kind:
        case "think":
            outcome = _reply(present, value)
        case "tool":
            outcome = _tool_result(step, present, value)
        case _:
            outcome = value
    try:
        text = encode(outcome)
    except NotEncodable as error:
        raise InvalidInput(str(error), "outcome") from error
    if len(text) > MAX_OUTCOME:
        raise InvalidInput(f"The outcome has {len(text)} characters; at most {MAX_OUTCOME} are taken.", "outcome")
    return recorded(outcome)


def _reply(present: JSON, value: JSON) -> JSON:
    given = _checked(_Reply, present, value)
    calls = given["tool_calls"]
    for number, call in enumerate(calls):
        call["id"] = call["id"] or f"edited-{number}"
    if len({call["id"] for call in calls}) < len(calls):
        raise InvalidInput("outcome.tool_calls: two calls have the same id.", "outcome")
    finish = given["finish"] or ("tool_calls" if calls else "stop")
    # The provider's own form says what the model said, not what a person wrote.
    return Reply.from_json({**given, "finish": finish, "native": None}).to_json()


def _tool_result(step: Step, present: JSON, value: JSON) -> JSON:
    given = _checked(_ToolResult, present, value)
    return ToolResult.from_json({**given, "name": step.name, "cached": False}).to_json()


def _checked(form: type[BaseModel], present: JSON, value: JSON) -> dict[str, Any]:
    """Check what was written. Of what only the engine writes there, what is there now stays."""
    known = {"text": value} if isinstance(value, str) else value
    engines = {name: kept for name, kept in (present or {}).items() if name not in form.model_fields}
    if isinstance(known, dict):
        known = {name: given for name, given in known.items() if name not in engines}
    try:
        return engines | form.model_validate(known).model_dump()
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        said = "; ".join(".".join(map(str, ("outcome", *fault["loc"]))) + f": {fault['msg']}" for fault in faults[:5])
        raise InvalidInput(f"{said}.", "outcome") from error
