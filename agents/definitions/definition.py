"""The definition of an agent: typed, with every field's bounds. Reading one takes nothing that is not named here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from agents.definitions.problems import Malformed, Problem
from agents.engine.canonical import decode, encode
from agents.engine.errors import NotEncodable

__all__ = ["FIELDS", "Definition", "Malformed", "Problem", "Schema", "read_definition"]

MAX_INSTRUCTIONS = 50_000
MAX_OBJECT = 100_000
"""Characters of all of a definition besides its instructions."""
MAX_INT = 2**31 - 1

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,51}$")]
"""An agent's name: it becomes part of the name of a tool, which models take up to 64 characters of."""
Model = Annotated[str, StringConstraints(pattern=r"^(offline|[a-z][a-z0-9_-]*:\S.*)$", max_length=100)]
ToolName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Count = Annotated[int, Field(ge=1, le=MAX_INT)]
Schema = dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Sampling(_Part):
    """How the model chooses its words; what is absent is the provider's to choose."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_output_tokens: Count | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_INT)] | None = None


class Caps(_Part):
    """How far a run may go, with all runs below it. What is absent the agent does not limit.

    `max_running` is how many runs of the agent are at work at once, `max_running_per_key` how many of those whose
    input has the same value in its field `running_key`.
    """

    steps: Count | None = None
    depth: Annotated[int, Field(ge=0, le=100)] | None = None
    children: Annotated[int, Field(ge=0, le=MAX_INT)] | None = None
    seconds: Annotated[float, Field(gt=0, le=366 * 86_400)] | None = None
    tokens: Count | None = None
    usd: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    repeats: Count | None = None
    max_running: Count | None = None
    running_key: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    max_running_per_key: Count | None = None


class RetryPolicy(_Part):
    """How often and in what rhythm a failed request to the model is made again; seconds."""

    max_attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    first: Annotated[float, Field(ge=0, le=86_400)] | None = None
    factor: Annotated[float, Field(ge=1, le=100)] | None = None
    max: Annotated[float, Field(ge=0, le=86_400)] | None = None


class Approvals(_Part):
    """Which calls wait for a person beyond those that the workspace wants to wait: never fewer."""

    policy: Literal["as_workspace", "always"] | None = None
    tools: Annotated[tuple[ToolName, ...], Field(max_length=100)] | None = None


class Definition(_Part):
    """What an agent is and does.

    `model` and `fallbacks` are `<provider>:<model>` or `offline`; empty means `offline`. `instructions` are a template
    whose placeholders `{{ name }}` stand for values of the run's input. `tools` and `sub_agents` are all it may use.
    """

    name: Name
    description: Annotated[str, StringConstraints(max_length=300)] = ""
    workflow: Annotated[str, StringConstraints(min_length=1, max_length=100)] = "react"
    model: Model | Literal[""] = ""
    fallbacks: Annotated[tuple[Model, ...], Field(max_length=10)] = ()
    sampling: Sampling = Sampling()
    instructions: Annotated[str, StringConstraints(max_length=MAX_INSTRUCTIONS)] = ""
    tools: Annotated[tuple[ToolName, ...], Field(max_length=200)] = ()
    sub_agents: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    options: dict[str, Any] = Field(default_factory=dict)
    input_schema: Schema | None = None
    output_schema: Schema | None = None
    caps: Caps = Caps()
    retry: RetryPolicy = RetryPolicy()
    approvals: Approvals = Approvals()

    def as_json(self) -> dict[str, Any]:
        """Give it as JSON values, every field there; within sampling, caps, retry and approvals only what is set."""
        found: dict[str, Any] = {}
        for name in FIELDS:
            value = getattr(self, name)
            if isinstance(value, _Part):
                value = value.model_dump(mode="json", exclude_none=True)
            found[name] = list(value) if isinstance(value, tuple) else value
        return found


FIELDS: tuple[str, ...] = tuple(Definition.model_fields)
"""The names of all fields, in the order in which they are shown."""
UNIQUE = ("fallbacks", "tools", "sub_agents")


def read_definition(data: Mapping[str, Any]) -> Definition:
    """Read a definition from JSON values; raises Malformed, naming each field that can't be."""
    try:
        text = encode(dict(data))
    except NotEncodable as error:
        raise Malformed([Problem("", str(error))]) from error
    try:
        # By its JSON text: then lists are lists and nothing else is taken for them.
        definition = Definition.model_validate_json(text)
    except ValidationError as error:
        raise Malformed(_problems(error)) from error
    if len(text) - len(encode(definition.instructions)) > MAX_OBJECT:
        raise Malformed([Problem("", f"Besides its instructions an agent has at most {MAX_OBJECT:,} characters.")])
    if twice := [Problem(name, f"{item!r} is there twice.") for name in UNIQUE for item in _twice(definition, name)]:
        raise Malformed(twice)
    # As it will be read from the database.
    return definition.model_copy(update={name: decode(encode(getattr(definition, name))) for name in ("options",)})


def _twice(definition: Definition, name: str) -> list[str]:
    items: tuple[str, ...] = getattr(definition, name)
    return sorted({item for item in items if items.count(item) > 1})


_WORDS = {
    "extra_forbidden": "There is no such field.",
    "missing": "This is needed.",
}
_PATTERNS = {
    "name": "A name begins with a letter and has letters, digits, - and _, at most 52.",
    "sub_agents": "These are names of agents: a letter first, then letters, digits, - and _, at most 52.",
    "model": "Write offline, or <provider>:<model> as in openai:gpt-5-mini.",
    "fallbacks": "Each is offline, or <provider>:<model> as in openai:gpt-5-mini.",
}


def _problems(error: ValidationError) -> list[Problem]:
    found: dict[str, Problem] = {}
    for each in error.errors(include_url=False, include_input=False):
        # Of a choice between types, pydantic names the branch too: that is not the reader's matter.
        path = [str(part) for part in each["loc"] if not _is_branch(part)]
        message = _WORDS.get(each["type"], "")
        if not message and each["type"] in ("string_pattern_mismatch", "literal_error") and path:
            message = _PATTERNS.get(path[0], "")
        message = message or each["msg"].replace("Input should", "This should")
        field = ".".join(path)[:200]
        found.setdefault(field, Problem(field, message if message.endswith(".") else f"{message}."))
    return list(found.values())[:50]


def _is_branch(part: int | str) -> bool:
    return isinstance(part, str) and (part.startswith(("constrained-", "literal[", "function-")) or "[" in part)
