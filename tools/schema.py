"""From a function's signature to a JSON schema, and from JSON arguments to the function's own types."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PydanticSchemaGenerationError, ValidationError, create_model
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from tools.docstrings import Described
from tools.errors import BadTool, InvalidArguments
from tools.types import JSON, ToolContext

_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
_SHOWN_ERRORS = 5


@dataclass(frozen=True, slots=True)
class Parameters:
    """A tool's parameters: the schema that models see, and the validation of what they send."""

    model: type[BaseModel]
    names: Mapping[str, str]
    schema: dict[str, Any]
    wants_context: bool

    def validate(self, tool: str, arguments: JSON) -> dict[str, Any]:
        """Give the arguments in the function's types, defaults filled in; raises InvalidArguments."""
        try:
            parsed = self.model.model_validate(arguments)
        except ValidationError as error:
            raise InvalidArguments(f"The arguments of {tool} are not right. {_explain(error)}") from error
        return {name: getattr(parsed, field) for field, name in self.names.items()}


@dataclass(frozen=True, slots=True)
class BatchParameters(Parameters):
    """The parameters of one call of a tool that takes a list of them: the fields of the list's items."""

    def validate(self, tool: str, arguments: JSON) -> dict[str, Any]:
        """Give the item that the arguments make, as `calls`; raises InvalidArguments."""
        try:
            return {"calls": self.model.model_validate(arguments)}
        except ValidationError as error:
            raise InvalidArguments(f"The arguments of {tool} are not right. {_explain(error)}") from error


def read_batch_parameters(function: Callable[..., object], described: Described) -> BatchParameters:
    """Read the signature of a function that takes many calls at once; raises BadTool where it does not."""
    name = getattr(function, "__qualname__", repr(function))
    hints = _hints(function, name)
    parameters = list(inspect.signature(function).parameters.values())
    listed = hints.get(parameters[0].name) if len(parameters) == 1 else None
    items = typing.get_args(listed) if typing.get_origin(listed) is list else ()
    if not (items and isinstance(items[0], type) and issubclass(items[0], BaseModel)):
        raise BadTool(f"{name} declares batch; it takes one parameter, a list of a pydantic model: one for each call.")
    _check_documented(name, described, [parameters[0].name])
    try:
        schema = items[0].model_json_schema()
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, PydanticUserError) as error:
        raise BadTool(f"The parameters of {name} have no JSON schema: {error}") from error
    names = {"calls": parameters[0].name}
    return BatchParameters(items[0], names, _without_titles(schema), wants_context=False)


def read_parameters(function: Callable[..., object], described: Described) -> Parameters:
    """Read the signature; raises BadTool where a model could not call the function."""
    name = getattr(function, "__qualname__", repr(function))
    hints = _hints(function, name)
    parameters = list(inspect.signature(function).parameters.values())
    wants_context = bool(parameters) and hints.get(parameters[0].name) is ToolContext
    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    for position, parameter in enumerate(parameters[1:] if wants_context else parameters):
        # Fields have names of their own: a parameter may be called `json` or `copy`, as methods of the model are.
        field = f"field_{position}"
        names[field] = parameter.name
        fields[field] = _field(name, parameter, hints, described)
    _check_documented(name, described, names.values())
    try:
        model = create_model(name.rpartition(".")[2], __config__=_CONFIG, **fields)
        schema = model.model_json_schema()
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, PydanticUserError) as error:
        raise BadTool(f"The parameters of {name} have no JSON schema: {error}") from error
    return Parameters(model, names, _without_titles(schema), wants_context)


def _hints(function: Callable[..., object], name: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise BadTool(f"The annotations of {name} can't be read: {error}.") from error


def _field(tool: str, parameter: inspect.Parameter, hints: dict[str, Any], described: Described) -> tuple[Any, Any]:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise BadTool(f"{tool} takes {parameter}; a tool has only parameters that can be given by name.")
    if parameter.name not in hints:
        raise BadTool(f"Parameter {parameter.name!r} of {tool} has no annotation; the schema is made of them.")
    if hints[parameter.name] is ToolContext:
        raise BadTool(f"{tool} takes the ToolContext as {parameter.name!r}; it has to be the first parameter.")
    default = ... if parameter.default is parameter.empty else parameter.default
    options: dict[str, Any] = {"alias": parameter.name}
    if text := described.parameters.get(parameter.name):
        options["description"] = text
    return Annotated[hints[parameter.name], Field(**options)], default


def _check_documented(tool: str, described: Described, names: typing.Iterable[str]) -> None:
    if strangers := sorted(set(described.parameters) - set(names)):
        raise BadTool(f"The docstring of {tool} describes what it does not take: {', '.join(strangers)}.")


def _without_titles(schema: Any) -> Any:
    """Drop the titles that pydantic makes up: they repeat the names and cost tokens in every request."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _without_titles(item) for name, item in value.items()}
        if key in ("properties", "$defs")
        else _without_titles(value)
        for key, value in schema.items()
        if key != "title"
    }


def _explain(error: ValidationError) -> str:
    # Without the input: it may be large, and the model knows what it sent.
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [_line(item["loc"], item["msg"], item["type"]) for item in errors[:_SHOWN_ERRORS]]
    if len(errors) > _SHOWN_ERRORS:
        lines.append(f"and {len(errors) - _SHOWN_ERRORS} more")
    return "; ".join(lines) + "."


def _line(place: tuple[int | str, ...], message: str, type: str) -> str:
    where = ".".join(str(part) for part in place)
    if not where:
        return "A JSON object with the parameters by name is expected"
    what = {"missing": "is required", "extra_forbidden": "is not a parameter"}.get(type, message)
    return f"{where}: {what}"
