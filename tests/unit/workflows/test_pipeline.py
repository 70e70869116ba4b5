"""The workflow "pipeline" on an in-memory journal: order, maps, conditions, joins, failures, citations."""

from __future__ import annotations

from typing import Any

import pytest

from agents.engine import Context, registry, workflow
from agents.engine.canonical import JSON, decode
from agents.engine.ports import AgentConfig
from agents.testing import TestAgent, TestRun, WorkflowTest
from agents.workflows.pipeline import pipeline
from agents.workflows.stages import faults_of

Written = dict[str, Any]


@pytest.fixture(autouse=True)
def _workflows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_workflows", dict(registry._workflows))

    @workflow("said")
    async def said(ctx: Context, input: JSON) -> JSON:
        """Say what it was told, as found at a source of its own."""
        text = await ctx.step("said", str, input["goal"])
        if "bad" in text:
            raise ValueError("That is bad.")
        quiet = "quiet" in text
        source = {"source": f"https://example.org/{text.split()[0]}", "title": "", "quote": text, "step": "said#0"}
        return {"text": text if quiet else f"{text} [1].", "citations": [] if quiet else [source]}

    @workflow("formed")
    async def formed(ctx: Context, input: JSON) -> JSON:
        """Give a form."""
        await ctx.step("formed", str, "x")
        return {"text": "{}", "citations": [], "value": {"list": ["a", "b", "c"], "input": input}}


def engine(stages: list[Written], **options: Any) -> WorkflowTest:
    agents = [TestAgent(AgentConfig(name, 1), name) for name in ("said", "formed")]
    config = AgentConfig("line", 1, options={"stages": stages, **options}, sub_agents=("said", "formed"))
    assert faults_of(config.options, config.sub_agents) == []
    return WorkflowTest(agent=config, agents=agents)


def run(stages: list[Written], input: JSON = "the goal", **options: Any) -> TestRun:
    return engine(stages, **options).run(pipeline, input if isinstance(input, dict) else {"goal": input})


def told(run: TestRun) -> list[tuple[str, str]]:
    events = [decode(event.data) for _, event in run.memory.events if event.kind == "progress"]
    return [(event["data"]["name"], event["data"]["state"]) for event in events if event["name"] == "stage"]


def states(run: TestRun) -> dict[str, str]:
    return {stage["name"]: stage["state"] for stage in run.output["stages"]}


ONE: Written = {"name": "one", "agent": "said", "input": "one {{ input.goal }}"}
TWO: Written = {"name": "two", "agent": "said", "input": "two after {{ stages.one.text }}"}


def test_a_stage_takes_what_another_came_to_and_the_last_is_the_answer() -> None:
    done = run([TWO, ONE])
    assert done.status == "succeeded", done.error
    assert told(done) == [("one", "started"), ("one", "done"), ("two", "started"), ("two", "done")]
    # Listed last, so it is the answer.
    assert done.output["text"] == "one the goal [1]."
    assert [citation["source"] for citation in done.output["citations"]] == ["https://example.org/one"]
    assert all(stage["run"] for stage in done.output["stages"])


def test_sources_are_numbered_through_and_only_the_used_are_kept() -> None:
    three = {"name": "three", "agent": "said", "input": "three"}
    four = {"name": "four", "agent": "said", "input": "four", "after": ["three"]}
    done = run([ONE, three, four], output="{{ stages.four.text }} {{ stages.one.text }}")
    assert done.output["text"] == "four [1]. one the goal [2]."
    assert [citation["source"].rsplit("/", 1)[1] for citation in done.output["citations"]] == ["four", "one"]


def test_who_cites_nothing_cites_by_what_it_was_handed() -> None:
    done = run([ONE, {"name": "two", "agent": "said", "input": "quiet: {{ stages.one.text }}"}])
    assert done.output["text"] == "quiet: one the goal [1]."
    assert [citation["source"] for citation in done.output["citations"]] == ["https://example.org/one"]


def test_those_that_need_nothing_are_under_way_at_once() -> None:
    done = run([ONE, {"name": "other", "agent": "said", "input": "x"}, {"name": "both", "join": BOTH}])
    assert told(done)[:2] == [("one", "started"), ("other", "started")]
    assert done.output["value"] == {"list": ["one the goal [1].", "x [2]."], "goal": "the goal", "n": 1}
    assert len(done.output["citations"]) == 2


BOTH = {"list": ["{{ stages.one.text }}", "{{stages.other.text}}"], "goal": "{{ input.goal }}", "n": 1}


def test_a_map_runs_on_each_item_in_order_and_values_keep_their_kind() -> None:
    stages: list[Written] = [
        {"name": "list", "agent": "formed", "input": {"whole": "{{ input }}"}},
        {"name": "each", "agent": "said", "map": "stages.list.value.list", "input": "{{ number }} is {{ item }}"},
    ]
    done = run([*stages, {"name": "all", "join": "{{ stages.each.texts }}"}], {"goal": [1, {"a": None}]})
    assert done.output["value"] == ["1 is a [1].", "2 is b [2].", "3 is c [3]."]
    assert run(stages).output["text"] == "**a**\n\n1 is a [1].\n\n**b**\n\n2 is b [2].\n\n**c**\n\n3 is c [3]."
    whole = run([stages[0]], {"goal": [1, {"a": None}]})
    assert whole.output["value"]["input"] == {"whole": {"goal": [1, {"a": None}]}}


def test_an_empty_list_comes_to_nothing_and_no_list_fails() -> None:
    each: Written = {"name": "each", "agent": "said", "map": "input.goal", "input": "{{ item }}"}
    assert run([each], {"goal": []}).output["text"] == ""
    failed = run([each], {"goal": "words"})
    assert failed.error["type"] == "StageFailed"
    assert failed.error["message"] == "Stage 'each' failed. BadList: input.goal is no list."


def test_a_condition_skips_what_needs_only_the_skipped_and_the_rest_gets_null() -> None:
    when: Written = {"path": "input.goal", "equals": "other"}
    stages: list[Written] = [
        {**ONE, "when": when},
        {"name": "else", "agent": "said", "input": "else", "when": {"not": when}},
        TWO,
        {"name": "both", "join": {"one": "{{ stages.one.text }}", "else": "{{ stages.else.text }}"}},
    ]
    done = run(stages)
    assert states(done) == {"one": "skipped", "else": "done", "two": "skipped", "both": "done"}
    assert done.output["value"] == {"one": None, "else": "else [1]."}
    assert [stage.get("why") for stage in done.output["stages"]][:3] == [
        "Its condition does not hold.",
        None,
        "There is nothing from one.",
    ]
    assert states(run(stages, "other")) == {"one": "done", "else": "skipped", "two": "done", "both": "done"}


def test_a_failure_stops_the_pipeline_or_is_left_out() -> None:
    bad: Written = {"name": "one", "agent": "said", "input": "bad"}
    failed = run([bad, TWO])
    assert (failed.status, failed.error["type"]) == ("failed", "StageFailed")
    assert failed.error["message"] == "Stage 'one' failed. ValueError: That is bad."
    done = run(
        [{**bad, "on_failure": "leave_out", "retries": 1}, TWO, {"name": "last", "join": "{{ stages.one.text }}."}]
    )
    assert states(done) == {"one": "left out", "two": "skipped", "last": "skipped"}
    assert done.output["text"] == ""
    assert sum(step.kind == "call" for step in done.steps.values()) == 2


def test_items_that_fail_are_left_out_and_a_place_that_is_not_there_fails() -> None:
    each: Written = {"name": "each", "agent": "said", "map": "input.goal", "input": "{{ item }}", "width": 2}
    done = run([{**each, "on_failure": "leave_out"}], {"goal": ["a", "bad", "c"]})
    assert done.output["text"] == "**a**\n\na [1].\n\n**c**\n\nc [2]."
    stopped = run([each], {"goal": ["a", "bad", "c"]})
    assert stopped.error["message"] == "Stage 'each' failed. ItemFailed: Item 2 failed. ValueError: That is bad."
    missing = run([{**ONE, "input": "{{ input.nothing }}"}])
    assert missing.error["message"] == "Stage 'one' failed. MissingValue: There is no input.nothing."


def test_a_crash_at_any_commit_changes_nothing() -> None:
    stages: list[Written] = [
        ONE,
        {"name": "each", "agent": "said", "map": "input.list", "input": "{{ item }} {{ input.goal }}", "width": 2},
        {"name": "both", "agent": "said", "input": "both {{ stages.one.text }} {{ stages.each.text }}"},
    ]
    input = {"goal": "g", "list": ["a", "b", "c"]}
    whole = run(stages, input).output
    for crash_after in range(1, 24):
        test = engine(stages)
        again = test.run(pipeline, input, crash_after=crash_after)
        assert again.output["text"] == whole["text"]
        assert [citation["source"] for citation in again.output["citations"]] == [
            citation["source"] for citation in whole["citations"]
        ]
        assert sum(step.kind == "call" for step in again.steps.values()) == 5


@pytest.mark.parametrize(
    ("stages", "field", "said"),
    [
        ([], "stages", "at least 1 item"),
        ([{"name": "a b", "agent": "said"}], "stages.0.name", "match pattern"),
        ([{"name": "a", "agent": "nobody"}], "stages.0.agent", "'nobody' is not among the sub-agents"),
        ([{"name": "a"}], "stages.0.agent", "either an agent or a join"),
        ([{"name": "a", "agent": "said", "join": "x"}], "stages.0.agent", "either an agent or a join"),
        ([{"name": "a", "join": "x", "map": "input.a"}], "stages.0.map", "A join has none."),
        ([ONE, {**ONE}], "stages.1.name", "another stage named 'one'"),
        ([{**ONE, "input": "{{ other.x }}"}], "stages.0.input", "a path begins with input or stages"),
        (
            [{**ONE, "input": ["{{ stages.two.text }}"]}],
            "stages.0.input",
            "no stage named 'two'. There are: one",
        ),
        ([{**ONE, "input": {"a": "{{ stages }}"}}], "stages.0.input", "name the stage"),
        ([{**ONE, "input": "{{ item }}"}], "stages.0.input", "only in the input of a stage with a map"),
        ([{**ONE, "input": "{{ a b }}"}], "stages.0.input", "opens a place and is none"),
        ([{**ONE, "map": "stages.x.value"}], "stages.0.map", "no stage named 'x'"),
        ([{**ONE, "map": "a b"}], "stages.0.map", "match pattern"),
        ([{**ONE, "when": {"path": "input.a"}}], "stages.0.when", "Say what the value is compared by"),
        ([{**ONE, "when": {"path": "goal", "exists": True}}], "stages.0.when", "a path begins with"),
        ([{**ONE, "after": ["x"]}], "stages.0.after", "no stage named 'x'"),
        ([{**ONE, "input": "{{ stages.one.text }}"}], "stages.0.input", "nothing from itself"),
        ([{**ONE, "after": ["two"]}, TWO], "stages", "wait for each other: "),
        ([{"name": f"s{n}", "join": "x"} for n in range(51)], "stages", "at most 50 items"),
        ([{**ONE, "exec": "rm"}], "stages.0.exec", "Extra inputs are not permitted"),
    ],
)
def test_what_is_refused_when_it_is_saved(stages: list[Written], field: str, said: str) -> None:
    found = [(fault.field, fault.message) for fault in faults_of({"stages": stages}, ("said",))]
    assert any(field == at and said in message for at, message in found), found


def test_the_output_is_checked_too() -> None:
    (fault,) = faults_of({"stages": [ONE], "output": "{{ stages.x.text }}"}, ("said",))
    assert (fault.field, "no stage named 'x'" in fault.message) == ("output", True)
