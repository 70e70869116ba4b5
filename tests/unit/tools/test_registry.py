"""From a function to a tool: schema, validation, results, names."""

from __future__ import annotations

import json
import math
import threading
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from tests.unit.tools.fakes import FakeContext
from tools import Citation, ToolContext, ToolFailed, ToolOutput, tool
from tools.errors import BadResult, BadTool, DuplicateTool, InvalidArguments, UnknownTool
from tools.registry import Registry, Tool, make_tool
from tools.types import File


class Unit(Enum):
    METRE = "m"
    FOOT = "ft"


class Place(BaseModel):
    """A place."""

    name: str
    height: float = 0


def weather(
    context: ToolContext, place: Place, days: Annotated[int, Field(ge=1, le=7)] = 3, *, unit: Unit = Unit.METRE
) -> str:
    """Tell the weather.

    A second paragraph.

    Args:
        place (Place): Where,
            and how high.
        days: How many days.

    Returns:
        What nobody but programmers wants to know.
    """
    return f"{place.name} {days} {unit.value} {context.workspace_id}"


async def run(tool: Tool, arguments: Any) -> ToolOutput:
    return await tool.run(arguments, FakeContext())


def test_the_schema_comes_from_signature_and_docstring() -> None:
    made = make_tool(weather)
    assert made.name == "weather"
    assert made.description == "Tell the weather.\n\nA second paragraph."
    schema = made.schema
    assert schema["type"] == "object"
    assert schema["required"] == ["place"]
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == ["place", "days", "unit"]
    assert schema["properties"]["place"]["description"] == "Where, and how high."
    assert schema["properties"]["days"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 7,
        "default": 3,
        "description": "How many days.",
    }
    assert schema["$defs"]["Unit"]["enum"] == ["m", "ft"]
    assert "title" not in str(schema)


@pytest.mark.anyio
async def test_arguments_arrive_in_the_function_s_types() -> None:
    output = await run(make_tool(weather), {"place": {"name": "Ulm"}, "days": "2", "unit": "ft"})
    assert output.text == "Ulm 2 ft 1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "place: is required"),
        ({"place": {"name": "Ulm"}, "wind": 1}, "wind: is not a parameter"),
        ({"place": {"name": "Ulm"}, "days": 9}, "days: Input should be less than or equal to 7"),
        ({"place": {}}, "place.name: is required"),
        ({"place": {"name": "U", "height": float("nan")}}, "finite"),
        (None, "JSON object"),
        ([1], "JSON object"),
        ("text", "JSON object"),
    ],
)
def test_wrong_arguments_are_explained_to_the_model(arguments: Any, words: str) -> None:
    class Strict(Place):
        height: float = Field(0, allow_inf_nan=False)

    def weather_at(place: Strict, days: Annotated[int, Field(le=7)] = 3) -> str:
        "Tell."
        return ""

    weather_at.__annotations__["place"] = Strict
    with pytest.raises(InvalidArguments, match=r"The arguments of weather_at are not right\.") as caught:
        make_tool(weather_at).validate(arguments)
    assert words in str(caught.value)


def test_the_explanation_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(InvalidArguments) as caught:
        make_tool(weather).validate({f"x{n}": "secret" * 1000 for n in range(100)})
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.anyio
async def test_parameters_may_have_any_name() -> None:
    def odd(json: str, copy: int, self: int, model_config: int, _x: int, cls: int = 1) -> dict[str, object]:
        "Take odd names."
        return {"json": json, "copy": copy, "self": self, "config": model_config, "x": _x, "cls": cls}

    arguments = {"json": "a", "copy": 1, "self": 2, "model_config": 3, "_x": 4}
    output = await run(make_tool(odd), arguments)
    assert output.data == {"json": "a", "copy": 1, "self": 2, "config": 3, "x": 4, "cls": 1}


def no_docstring(a: int) -> int:
    return a


def star(*args: int) -> None:
    "Take many."


def keywords(**options: int) -> None:
    "Take any."


def positional(a: int, /) -> None:
    "Take one."


def unannotated(a) -> None:  # type: ignore[no-untyped-def]
    "Take what?"


def late(a: int, context: ToolContext) -> None:
    "Take the context too late."


def opaque(a: threading.Thread) -> None:
    "Take what has no JSON form."


def misdescribed(a: int) -> None:
    """Describe another.

    Args:
        b: What it does not take.
    """


def unresolved(a: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
    "Take what is not imported."


@pytest.mark.parametrize(
    "function", [no_docstring, star, keywords, positional, unannotated, late, opaque, misdescribed, unresolved]
)
def test_a_function_that_can_be_no_tool_is_refused_by_name(function: Any) -> None:
    with pytest.raises(BadTool, match=function.__name__):
        make_tool(function)


@pytest.mark.parametrize(
    "options",
    [
        {"effect": "harmless"},
        {"trust": "maybe"},
        {"kind": "think"},
        {"timeout": 0},
        {"timeout": math.inf},
        {"name": "with space"},
        {"name": "x" * 65},
        {"durable": "yes"},
    ],
)
def test_a_wrong_declaration_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(BadTool):
        make_tool(weather, **options)


def test_what_is_not_declared_is_taken_to_be_dangerous() -> None:
    made = make_tool(weather)
    assert (made.effect, made.trust, made.kind) == ("unsafe", "untrusted", "act")


def test_names_are_unique_but_a_module_may_be_loaded_again() -> None:
    registry = Registry()
    returned = tool(effect="none", into=registry)(weather)
    assert returned is weather
    tool(effect="none", into=registry)(weather)
    with pytest.raises(DuplicateTool, match="weather"):
        tool(name="weather", into=registry)(misnamed)
    assert [known.name for known in registry] == ["weather"]
    with pytest.raises(UnknownTool, match=r"'wether'.*Tools: weather"):
        registry.get("wether")


def misnamed() -> None:
    "Do nothing."


@pytest.mark.anyio
async def test_a_plain_function_runs_in_a_thread_and_an_async_one_on_the_loop() -> None:
    def plain() -> str:
        "Tell the thread."
        return threading.current_thread().name

    async def on_loop() -> str:
        "Tell the thread."
        return threading.current_thread().name

    assert (await run(make_tool(plain), {})).text.startswith("tool")
    assert (await run(make_tool(on_loop), {})).text == threading.current_thread().name


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("result", "text", "data"),
    [
        ("plain", "plain", None),
        ({"a": (1, 2)}, '{"a": [1, 2]}', {"a": [1, 2]}),
        (None, "", None),
        (0, "0", 0),
        (Place(name="Ulm"), '{"name": "Ulm", "height": 0.0}', {"name": "Ulm", "height": 0.0}),
        ("a\x00b\ud800", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}", None),
        ([math.nan, 2**70], '[null, "1180591620717411303424"]', [None, str(2**70)]),
        (ToolOutput("text", {"k": "\x00"}), "text", {"k": "\N{REPLACEMENT CHARACTER}"}),
    ],
)
async def test_results_come_in_one_clean_form(result: Any, text: str, data: Any) -> None:
    def give() -> Any:
        "Give it."
        return result

    output = await run(make_tool(give), {})
    assert (output.text, output.data) == (text, data)


@pytest.mark.anyio
async def test_citations_are_kept() -> None:
    def cite() -> ToolOutput:
        "Cite."
        return ToolOutput("x", citations=(Citation("https://example.org", "T\x00", "q"),))

    [citation] = (await run(make_tool(cite), {})).citations
    assert citation == Citation("https://example.org", "T\N{REPLACEMENT CHARACTER}", "q")


@pytest.mark.anyio
@pytest.mark.parametrize("result", [object(), {1: 2}, {"a": {1, 2}}, b"bytes"])
async def test_a_result_that_is_none_is_the_tool_s_mistake(result: Any) -> None:
    def give() -> Any:
        "Give it."
        return result

    with pytest.raises(BadResult, match="give"):
        await run(make_tool(give), {})


@pytest.mark.anyio
@pytest.mark.fault(46)
async def test_a_huge_result_is_cut_or_refused() -> None:
    def text() -> str:
        "Give 40 MB of text."
        return "x" * 40_000_000

    def data() -> list[str]:
        "Give much data."
        return ["x" * 1000] * 2000

    output = await run(make_tool(text), {})
    assert len(output.text) < 101_000
    assert "39,900,000 more characters" in output.text
    assert output.file is not None
    assert len(output.file.content) < 5_000_000
    assert output.file.content.endswith(b"more characters.]")

    def table() -> list[str]:
        "Give more than a model reads."
        return ["é" * 100] * 2000

    output = await run(make_tool(table), {})
    assert output.file is not None
    assert (output.file.media_type, json.loads(output.file.content)) == ("application/json", output.data)
    with pytest.raises(ToolFailed, match="too large"):
        await run(make_tool(data), {})

    def file() -> ToolOutput:
        "Give a large file."
        return ToolOutput("a file", file=File("x.bin", "application/octet-stream", bytes(20_000_001)))

    with pytest.raises(ToolFailed, match="too large"):
        await run(make_tool(file), {})


def test_a_literal_parameter_is_an_enumeration() -> None:
    def choose(colour: Literal["red", "blue"]) -> str:
        "Choose."
        return colour

    assert make_tool(choose).schema["properties"]["colour"] == {"enum": ["red", "blue"], "type": "string"}
