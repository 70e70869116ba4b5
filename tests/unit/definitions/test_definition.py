"""The definition of an agent: what is taken, what is refused and how that is said, and what can be published."""

from __future__ import annotations

from typing import Any

import pytest

from agents.definitions.checking import Surroundings, problems_of
from agents.definitions.definition import Definition, read_definition
from agents.definitions.problems import Malformed, Problem

THERE = Surroundings(
    tools=("search_documents", "web_fetch"),
    workflows=("react",),
    agents={"writer": ("checker",), "checker": (), "looper": ("researcher",)},
)
PERSON = {"type": "object", "properties": {"topic": {"type": "string"}, "depth": {"type": "integer"}}}


def refused(**fields: Any) -> list[Problem]:
    with pytest.raises(Malformed) as caught:
        read_definition({"name": "researcher", **fields})
    return list(caught.value.problems)


def publishable(**fields: Any) -> list[Problem]:
    return problems_of(read_definition({"name": "researcher", **fields}), THERE)


def test_a_name_is_enough_and_all_else_has_its_default() -> None:
    made = read_definition({"name": "researcher"}).as_json()
    assert made == {
        "name": "researcher",
        "description": "",
        "workflow": "react",
        "model": "",
        "fallbacks": [],
        "sampling": {},
        "instructions": "",
        "tools": [],
        "sub_agents": [],
        "options": {},
        "input_schema": None,
        "output_schema": None,
        "caps": {},
        "retry": {},
        "approvals": {},
    }
    assert publishable() == []


def test_what_was_written_is_read_again() -> None:
    whole = {
        "name": "researcher",
        "description": "Looks things up.",
        "workflow": "react",
        "model": "openai:gpt-5-mini",
        "fallbacks": ["anthropic:claude", "offline"],
        "sampling": {"temperature": 0.2, "top_p": 0.9, "max_output_tokens": 500, "seed": 7},
        "instructions": "Find out about {{ topic }}.",
        "tools": ["search_documents"],
        "sub_agents": ["writer"],
        "options": {"max_rounds": 4},
        "input_schema": PERSON,
        "output_schema": {"type": "object"},
        "caps": {"steps": 50, "depth": 2, "children": 0, "seconds": 60.0, "tokens": 9, "usd": 0.5, "repeats": 3},
        "retry": {"max_attempts": 3, "first": 1.0, "factor": 2.0, "max": 60.0},
        "approvals": {"policy": "always", "tools": ["search_documents"]},
    }
    read = read_definition(whole)
    assert read.as_json() == whole
    assert read_definition(read.as_json()) == read
    assert problems_of(read, THERE) == []


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"name": "9 lives"}, "name", "begins with a letter"),
        ({"name": "a" * 53}, "name", "at most 52"),
        ({"model": "gpt-5"}, "model", "<provider>:<model>"),
        ({"model": "openai: "}, "model", "<provider>:<model>"),
        ({"fallbacks": ["gpt"]}, "fallbacks.0", "<provider>:<model>"),
        ({"tools": "web_fetch"}, "tools", "array"),
        ({"tools": ["web_fetch", "web_fetch"]}, "tools", "there twice"),
        ({"sub_agents": [3]}, "sub_agents.0", "string"),
        ({"sampling": {"temperature": 3}}, "sampling.temperature", "less than or equal to 2"),
        ({"sampling": {"temperature": "hot"}}, "sampling.temperature", "number"),
        ({"sampling": {"heat": 1}}, "sampling.heat", "no such field"),
        ({"caps": {"steps": 0}}, "caps.steps", "at least 1|greater than or equal to 1"),
        ({"caps": {"steps": True}}, "caps.steps", "integer"),
        ({"caps": {"usd": 0}}, "caps.usd", "greater than 0"),
        ({"retry": {"max_attempts": 101}}, "retry.max_attempts", "100"),
        ({"approvals": {"policy": "never"}}, "approvals.policy", "as_workspace"),
        ({"input_schema": "object"}, "input_schema", "object"),
        ({"colour": "red"}, "colour", "no such field"),
        ({"instructions": "x" * 50_001}, "instructions", "50000"),
        ({"options": {"x": "y" * 100_001}}, "", "100,000"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(fields: dict[str, Any], field: str, words: str) -> None:
    (problem,) = refused(**fields)
    assert problem.field == field
    assert any(word in problem.message for word in words.split("|")), problem.message


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert {problem.field for problem in refused(caps={"steps": 0}, model="x", nonsense=1)} == {
        "caps.steps",
        "model",
        "nonsense",
    }


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"workflow": "dance"}, "workflow", "There are: react."),
        ({"tools": ["web_fetch", "rm"]}, "tools", "no tool named 'rm'"),
        ({"tools": ["web_fetch"], "approvals": {"tools": ["search_documents"]}}, "approvals.tools", "this agent"),
        ({"sub_agents": ["nobody"]}, "sub_agents", "checker, looper, researcher, writer"),
        ({"fallbacks": ["offline"]}, "fallbacks", "A model comes first"),
        ({"model": "offline", "fallbacks": ["offline"]}, "fallbacks", "the model itself"),
        ({"instructions": "About {{ topic }}"}, "instructions", "no 'topic'"),
        ({"input_schema": PERSON, "instructions": "x\n{{ goal }}"}, "instructions", "Line 2: the input has no 'goal'"),
        ({"input_schema": {"type": "string"}}, "input_schema", '"type": "object"'),
        ({"input_schema": {"type": "objekt"}}, "input_schema", "no JSON schema"),
        ({"output_schema": {"$ref": "https://example.org/schema"}}, "output_schema", "leads out"),
        ({"sub_agents": ["looper"]}, "sub_agents", "researcher → looper → researcher is a circle"),
        ({"sub_agents": ["researcher"]}, "sub_agents", "researcher → researcher is a circle"),
    ],
)
def test_what_keeps_it_from_being_published(fields: dict[str, Any], field: str, words: str) -> None:
    (problem,) = publishable(**fields)
    assert problem.field == field
    assert words in problem.message


def test_a_circle_with_a_depth_has_an_end() -> None:
    assert publishable(sub_agents=["looper"], caps={"depth": 3}) == []


def test_workflows_judge_their_own_options() -> None:
    def check(workflow: str, options: Any, members: Any) -> list[Problem]:
        return [] if options.get("width") else [Problem("options.width", f"{workflow} wants a width for {members}.")]

    there = Surroundings(THERE.tools, THERE.workflows, THERE.agents, check)
    assert problems_of(Definition(name="a"), there) == [Problem("options.width", "react wants a width for ().")]
    assert problems_of(Definition(name="a", options={"width": 3}), there) == []
