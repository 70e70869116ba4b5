"""Answers with a form: JSON that fits a schema, or a pydantic model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from agents.engine.canonical import JSON

MAX_FAULTS = 8
MAX_FAULT = 300
_FENCED = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)


class Unfit(ValueError):
    """A text is not the answer that was asked for; the message says what is wrong with it, for a model to mend."""


@dataclass(frozen=True, slots=True)
class Output:
    """What an answer has to fit. With a `model`, its own rules count beside the schema made of it."""

    schema: Mapping[str, Any]
    model: type[BaseModel] | None = None

    @classmethod
    def of(cls, form: type[BaseModel] | Mapping[str, Any]) -> Output:
        """Make it of a pydantic model or of a JSON schema."""
        return cls(form.model_json_schema(), form) if isinstance(form, type) else cls(form)

    def read(self, text: str) -> Any:
        """Give the answer in a text: the JSON value, or the model made of it; raises Unfit."""
        value = _json_in(text)
        if self.model is None:
            if faults := list(faults_by_schema(value, self.schema)):
                raise Unfit("; ".join(faults))
            return value
        try:
            return self.model.model_validate(value)
        except ValidationError as error:
            raise Unfit("; ".join(_faults_by_model(error))) from error


def _json_in(text: str) -> JSON:
    """Read the JSON of an answer, around which models like to put words and fences."""
    failure: ValueError | None = None
    for candidate in _candidates(text.strip()):
        try:
            return json.loads(candidate, parse_constant=_no_constant)
        except ValueError as error:
            failure = failure or error
        except RecursionError as error:
            raise Unfit("the answer is nested too deep") from error
    raise Unfit(f"the answer is not JSON: {failure}")


def _candidates(text: str) -> Iterator[str]:
    yield text
    yield from _FENCED.findall(text)
    begins = [at for at in (text.find("{"), text.find("[")) if at >= 0]
    if begins:
        yield text[min(begins) : max(text.rfind("}"), text.rfind("]")) + 1]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def faults_by_schema(value: JSON, schema: Mapping[str, Any]) -> Iterator[str]:
    """Say what keeps a value from fitting a JSON schema; raises Unfit for a schema that refers to another place."""
    # Imported where it is used: most workers never need it.
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    from agents.engine.schemas import checker

    try:
        faults = sorted(
            checker(schema).iter_errors(value), key=lambda fault: [str(part) for part in fault.absolute_path]
        )
    except Unresolvable as error:
        raise Unfit(f"the schema refers to what it does not hold: {error}") from error
    for fault in faults[:MAX_FAULTS]:
        # Of several forms that were allowed, tell about the one that came closest.
        closest = best_match([fault]) or fault
        place = "/".join(map(str, closest.absolute_path)) or "answer"
        yield f"{place}: {closest.message[:MAX_FAULT]}"


def _faults_by_model(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False, include_input=False, include_context=False)[:MAX_FAULTS]:
        yield f"{'/'.join(map(str, fault['loc'])) or 'answer'}: {fault['msg'][:MAX_FAULT]}"
