"""Instructions as templates: names of the input, and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.definitions.template import names_for, render, template_problems


@pytest.mark.parametrize(
    ("template", "input", "rendered"),
    [
        ("About {{ topic }}, {{topic}}.", {"topic": "tides"}, "About tides, tides."),
        (
            "{{ count }} of {{ names }}: {{ sure }}",
            {"count": 3, "names": ["a", "ü"], "sure": True},
            '3 of ["a","ü"]: true',
        ),
        ("[{{ topic }}]", {}, "[]"),
        ("[{{ topic }}]", {"topic": None}, "[]"),
        ("{{ other }} {{ 7*7 }} {{", {"topic": "x", "other": "secret"}, "{{ other }} {{ 7*7 }} {{"),
    ],
)
def test_values_of_the_input_take_their_places(template: str, input: Any, rendered: str) -> None:
    assert render(template, input, ("topic", "count", "names", "sure")) == rendered


def test_without_a_schema_there_is_the_goal() -> None:
    assert names_for(None) == ("goal",)
    assert names_for({"type": "object", "properties": {"a": {}, "b": {}}}) == ("a", "b")
    assert names_for({"type": "object"}) == ()
    assert render("Do: {{ goal }}", "sing", names_for(None)) == "Do: sing"


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    "payload",
    [
        "{{ goal }}",
        "{{7*7}}",
        "{% debug %}",
        "{0.__class__}",
        "{goal.__class__.__mro__}",
        "%(goal)s",
        "${goal}",
        "\\1\\g<0>",
        "{{ goal.__class__ }}",
        "{{ goal|safe }}",
    ],
)
def test_neither_a_value_nor_a_template_is_ever_code(payload: str) -> None:
    assert render("a {{ goal }} b", {"goal": payload}, ("goal",)) == f"a {payload} b"
    if payload != "{{ goal }}":
        assert render(payload, {"goal": "x"}, ("goal",)) == payload


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("a\n\n{{ nobody }}", "Line 3: the input has no 'nobody'. There are: topic."),
        ("{{ topic", "Line 1: {{ opens a place"),
        ("{{ topic.length }}", "Line 1: {{ opens a place"),
        ("{{ topic|upper }}", "Line 1: {{ opens a place"),
        ("{{ 7*7 }}", "Line 1: {{ opens a place"),
        ("{{}}", "Line 1: {{ opens a place"),
        ("{{ __class__ }}", "no '__class__'"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(template: str, words: str) -> None:
    (problem,) = template_problems("instructions", template, ["topic"])
    assert problem.field == "instructions"
    assert words in problem.message


@given(
    st.lists(st.sampled_from(["{", "}", "{{", "}}", "topic", " ", "{{ topic }}", "\n", "x"]), max_size=12), st.text()
)
def test_every_place_of_a_sound_template_has_the_value(parts: list[str], value: str) -> None:
    template = "".join(parts)
    rendered = render(template, {"topic": value}, ("topic",))
    if not template_problems("instructions", template, ["topic"]):
        places = template.count("{{")
        assert len(rendered) == len(template) + places * len(value) - sum(
            map(len, re.findall(r"\{\{ *topic *\}\}", template))
        )
