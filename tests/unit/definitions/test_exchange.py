"""Agents as YAML: what is written is read again, and what is read is data, bounded, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.definitions.definition import read_definition
from agents.definitions.exchange import read_yaml, write_yaml
from agents.definitions.problems import Malformed

HEAD = "agentsite: agent/1\n"
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def refused(text: str) -> str:
    with pytest.raises(Malformed) as caught:
        read_yaml(text)
    return "; ".join(f"{problem.field}: {problem.message}" for problem in caught.value.problems)


def test_an_agent_is_written_for_people() -> None:
    made = read_definition(
        {"name": "reader", "instructions": "Read.\nThen tell.\n", "tools": ["web_fetch"], "caps": {"steps": 9}}
    )
    assert write_yaml(made.as_json()) == (
        "agentsite: agent/1\nname: reader\ninstructions: |\n  Read.\n  Then tell.\n"
        "tools:\n- web_fetch\ncaps:\n  steps: 9\n"
    )
    assert read_yaml(write_yaml(made.as_json())) == made


@given(st.text(max_size=200), st.dictionaries(st.text(max_size=10), values, max_size=4))
def test_what_is_written_is_read_again(text: str, options: dict[str, Any]) -> None:
    made = read_definition({"name": "a", "instructions": text, "description": text[:300], "options": options})
    assert read_yaml(write_yaml(made.as_json())) == made


@pytest.mark.parametrize(
    "word", ["yes", "no", "on", "2024-01-01", "1_000", "0x10", "1e5", "007", "0o7", ".5", "~", "=", "<<"]
)
def test_words_stay_words(word: str) -> None:
    made = read_definition({"name": "a", "description": word, "options": {word: word}})
    assert read_yaml(write_yaml(made.as_json())) == made
    assert read_yaml(f"{HEAD}name: a\noptions:\n  x: '{word}'\n").options == {"x": word}


def test_plain_words_are_what_json_has() -> None:
    read = read_yaml(
        HEAD + "name: a\noptions: {a: 1, b: 2.5, c: true, d: null, e: yes, f: 2024-01-01, g: 1e3, h: .inf}\n"
    )
    assert read.options == {
        "a": 1,
        "b": 2.5,
        "c": True,
        "d": None,
        "e": "yes",
        "f": "2024-01-01",
        "g": 1000.0,
        "h": ".inf",
    }


@pytest.mark.fault(40)
@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {}']",
        "!!python/object/new:os.system ['touch {}']",
        "!!python/name:os.system",
        "!!python/module:subprocess",
        "!!python/object/apply:builtins.eval [\"open('{}','w')\"]",
        "!!binary aGk=",
        "!!str x",
        "!custom {a: 1}",
    ],
)
def test_no_tag_is_obeyed(tag: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    assert "The tag" in refused(f"{HEAD}name: a\noptions:\n  x: {tag.replace('{}', str(trace), 1)}\n")
    assert not trace.exists()


@pytest.mark.fault(40)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HEAD}name: &a x\ndescription: *a\n", "Line 2: Anchors and aliases"),
        ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "Line 1: Anchors and aliases"),
        (f"{HEAD}name: a\noptions: {'[' * 60}{']' * 60}\n", "levels deep"),
        (f"{HEAD}name: a\noptions: {'{a: ' * 5000}", "levels deep"),
        (f"{HEAD}name: a\ntools: [{'x,' * 20_000}]\n", "20,000 parts"),
        (HEAD + "# " + "x" * 200_000, "200,000"),
        (f"{HEAD}name: a\nname: b\n", "Line 3: 'name' is there twice"),
        (f"{HEAD}name: a\n---\nname: b\n", "Another document"),
        (f"{HEAD}name: a\n? [x]\n: y\n", "Line 3: The name of a value is a text"),
        (f"{HEAD}name: a\n<<: {{tools: [x]}}\n", "<<: There is no such field."),
        (
            f"{HEAD}name: a\nmodle: offline\ncaps: {{step: 1}}\n",
            "caps.step: There is no such field.; modle: There is no",
        ),
        (f"{HEAD}name: a\ncaps: {{steps: yes}}\n", "caps.steps: This should be a valid integer."),
        (f"{HEAD}description: x\n", "name: This is needed."),
        ("name: a\n", "agentsite: agent/1"),
        ("agentsite: agent/2\nname: a\n", "agentsite: agent/1"),
        ("- a\n", "names and values"),
        ("", "names and values"),
        ("just words", "names and values"),
        (f'{HEAD}name: "a\n', "line 3: "),
        (f"{HEAD}name: a\tb: c: d\n", "line 2: "),
        (f"{HEAD}name: a\x00\n", "no YAML"),
    ],
)
def test_what_is_not_an_agent_is_refused_with_its_place(text: str, words: str) -> None:
    assert words in refused(text)
