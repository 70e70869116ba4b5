"""The workflow "team" on an in-memory journal: plans, tasks, failures, drafts that are sent back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.engine.canonical import decode
from agents.engine.messages import Citation, ToolResult
from agents.engine.ports import AgentConfig, CallInfo
from agents.testing import ScriptedTools, TestAgent, TestRun, WorkflowTest
from agents.workflows.planning import TeamPlan, faults_of
from agents.workflows.team import team
from tests.roles import Line, Roles, calls

PLANNER, NORTH, SOUTH, WRITER, REVIEWER = "I plan.", "I search north.", "I search south.", "I write.", "I review."
TOOLS = ("search_documents",)
OK: Line = {"ok": True, "points": []}


async def search_documents(arguments: Any, info: CallInfo) -> ToolResult:
    said = f"The {arguments['query']} harbour opens at seven."
    return ToolResult("tool", said, name="search_documents", citations=(Citation("document:7", "Harbours", said),))


def search(query: str) -> Line:
    return calls(("search_documents", {"query": query}))


def plan(*tasks: tuple[str, str, str, list[str]]) -> Line:
    return {"tasks": [dict(zip(("id", "agent", "goal", "needs"), task, strict=True)) for task in tasks]}


BOTH = plan(("n", "north", "When does the north open?", []), ("s", "south", "When does the south open?", []))
THEN = plan(("n", "north", "When does the north open?", []), ("s", "south", "And the south?", ["n"]))


def engine(scripts: dict[str, list[Line]], **options: Any) -> tuple[WorkflowTest, Roles]:
    """A team of five; a role without a script is not on it, and played by the lead."""
    names = {"planner": PLANNER, "north": NORTH, "south": SOUTH, "writer": WRITER, "reviewer": REVIEWER}
    present = {name: words for name, words in names.items() if words in scripts}
    agents = [
        TestAgent(AgentConfig(name, 1, words, "test:m", TOOLS), description=f"The {name}.")
        for name, words in present.items()
    ]
    lead = AgentConfig("lead", 1, "I lead.", "test:m", TOOLS, options, sub_agents=tuple(present))
    model = Roles(scripts)
    tools = ScriptedTools(search_documents=search_documents)
    return WorkflowTest(model=model, tools=tools, agent=lead, agents=agents), model


def found(north: str = "Seven [1].", south: str = "Seven too [1].") -> dict[str, list[Line]]:
    return {NORTH: [search("north"), north], SOUTH: [search("south"), south]}


def progress(run: TestRun, name: str) -> list[Any]:
    """Give the data of the run's progress events of this name."""
    told = [decode(event.data) for _, event in run.memory.events if event.kind == "progress"]
    return [event["data"] for event in told if event["name"] == name]


def states(run: TestRun) -> list[tuple[str, str]]:
    return [(one["id"], one["state"]) for one in progress(run, "task")]


def test_five_agents_plan_search_write_and_review() -> None:
    scripts: dict[str, list[Line]] = {
        PLANNER: [BOTH],
        **found(),
        WRITER: ["North at seven.", "North at seven [1], south at seven [2]."],
        REVIEWER: [{"ok": False, "points": ["The south is missing."]}, OK],
    }
    test, model = engine(scripts, reflect=2)
    run = test.run(team, {"goal": "When do the harbours open?"})
    assert run.status == "succeeded", run.error
    assert run.output["text"] == "North at seven [1], south at seven [2]."
    below = test.below(run.memory.row.id)
    assert sorted(child.memory.child.target.workflow for child in below.values()) == [
        "react",
        "react",
        "team.plan",
        "team.review",
        "team.review",
        "team.write",
        "team.write",
    ]
    by_run = {str(child.memory.row.id): child for child in below.values()}
    for citation, harbour in zip(run.output["citations"], ("north", "south"), strict=True):
        assert citation["quote"] == f"The {harbour} harbour opens at seven."
        assert by_run[citation["run"]].steps[citation["step"]].name == "search_documents"
    assert progress(run, "plan") == [BOTH]
    # Both were under way before either was done.
    assert states(run)[:2] == [("n", "started"), ("s", "started")]
    assert sorted(states(run)[2:]) == [("n", "done"), ("s", "done")]
    assert progress(run, "review") == [
        {"round": 1, "ok": False, "points": ["The south is missing."]},
        {"round": 2, "ok": True, "points": []},
    ]
    again = model.asked(WRITER)[1].messages
    assert again[-1].text.startswith("The reviewer sends the draft back:\n- The south is missing.")
    assert again[-2].tool_calls[0].arguments == {"draft": "North at seven."}
    labels = [step.label for child in below.values() for step in child.steps.values() if step.kind == "think"]
    assert labels.count("reflect") == 2


def test_the_writer_answers_in_the_form_that_the_team_has_to_give() -> None:
    form = {"type": "object", "required": ["north"], "properties": {"north": {"type": "string"}}}
    scripts: dict[str, list[Line]] = {
        PLANNER: [BOTH],
        **found(),
        WRITER: ["At seven.", {"north": "At seven."}, {"north": "At seven [2]."}],
        REVIEWER: [{"ok": False, "points": ["No source is cited."]}, OK],
    }
    test, model = engine(scripts, reflect=2, repairs=1)
    assert test.agent is not None
    test.agent = replace(test.agent, output_schema=form)
    run = test.run(team, "When?")
    assert run.status == "succeeded", run.error
    assert run.output["value"] == {"north": "At seven [1]."}
    assert [citation["quote"] for citation in run.output["citations"]] == ["The south harbour opens at seven."]
    assert all(request.output == form for request in model.asked(WRITER))


def test_the_lead_plays_the_roles_that_are_not_there() -> None:
    lead: list[Line] = [BOTH, "At seven [1] and [2].", OK]
    test, model = engine({"I lead.": lead, **found()})
    run = test.run(team, "When?")
    assert run.status == "succeeded", run.error
    assert {child.memory.child.target.workflow for child in test.below(run.memory.row.id).values()} == {"react"}
    roles = ["You plan the work of a team.", "You write the answer", "You review a draft"]
    for request, words in zip(model.asked("I lead."), roles, strict=True):
        assert words in request.messages[0].text


def test_a_task_begins_when_what_it_needs_is_done_and_is_told_of_it() -> None:
    test, model = engine({"I lead.": [THEN, "Well.", OK], **found()})
    run = test.run(team, "When?")
    assert states(run) == [("n", "started"), ("n", "done"), ("s", "started"), ("s", "done")]
    assert model.asked(SOUTH)[0].messages[1].text == (
        "And the south?\n\nWhat others have found out for this:\n\n## When does the north open?\n\nSeven [1]."
    )


def test_no_more_tasks_than_the_width_run_at_once() -> None:
    tasks = plan(*((f"t{n}", "north", f"{n}?", []) for n in range(5)))
    test, _ = engine({"I lead.": [tasks, "Well.", OK], NORTH: ["Yes."] * 5}, width=2)
    run = test.run(team, "When?")
    running = most = 0
    for _, state in states(run):
        running += 1 if state == "started" else -1
        most = max(most, running)
    assert (run.status, most, len(states(run))) == ("succeeded", 2, 10)


def test_a_plan_that_can_not_be_carried_out_is_handed_back() -> None:
    circle = plan(("n", "north", "?", ["s"]), ("s", "south", "?", ["n"]))
    test, model = engine({"I lead.": [circle, BOTH, "Well.", OK], **found()})
    assert test.run(team, "When?").status == "succeeded"
    assert "Tasks need each other in a circle: n → s → n." in model.asked("I lead.")[1].messages[-1].text
    test, _ = engine({"I lead.": [circle] * 3, **found()})
    run = test.run(team, "When?")
    assert (run.status, run.error["type"]) == ("failed", "BadPlan")


@pytest.mark.parametrize(
    ("tasks", "fault"),
    [
        ((("a", "north", "?", []), ("a", "north", "?", [])), "More than one task is named 'a'."),
        ((("a", "nobody", "?", []),), "Task 'a': there is no agent 'nobody'. Agents: north."),
        ((("a", "north", "?", ["b"]),), "Task 'a' needs 'b', which is no task."),
        ((("old", "north", "?", []),), "The name 'old' is taken by an earlier task."),
        (tuple((f"t{n}", "north", "?", []) for n in range(4)), "There are 4 tasks; at most 3 are allowed."),
    ],
)
def test_what_is_wrong_with_a_plan(tasks: Any, fault: str) -> None:
    made = TeamPlan.model_validate(plan(*tasks))
    assert faults_of(made, ["north"], 3, known=["old"]) == [fault]


def test_a_failed_task_is_tried_again_and_then_left_out_with_what_needs_it() -> None:
    late: dict[str, list[Line]] = {"I lead.": [THEN, "Nothing.", OK], NORTH: [], SOUTH: []}
    test, model = engine(late, retries=2)
    run = test.run(team, "When?")
    # All that was planned is left out: there is nothing to write about.
    assert (run.status, run.error["type"]) == ("failed", "NothingFound")
    assert states(run) == [("n", "started"), ("n", "failed"), ("s", "left out")]
    assert len(model.asked(NORTH)) == 3
    test, model = engine({"I lead.": [BOTH, "South [1].", OK], **found(), NORTH: []}, on_failure="leave_out")
    run = test.run(team, "When?")
    assert len(model.asked(NORTH)) == 1
    assert [(one["id"], one["type"]) for one in run.output["left_out"]] == [("n", "Permanent")]


def test_a_failed_task_is_planned_anew() -> None:
    other = plan(("s2", "south", "And the north?", []))
    scripts: dict[str, list[Line]] = {"I lead.": [THEN, other, "South [1].", OK], NORTH: [], SOUTH: found()[SOUTH]}
    test, model = engine(scripts, on_failure="replan", retries=0)
    run = test.run(team, "When?")
    assert run.status == "succeeded", run.error
    assert states(run)[-1] == ("s2", "done")
    assert "- n: Permanent: The script" in model.asked("I lead.")[1].messages[-1].text
    assert [each["tasks"][0]["id"] for each in progress(run, "plan")] == ["n", "s2"]


def test_a_failed_task_may_stop_the_team() -> None:
    test, _ = engine({"I lead.": [BOTH], **found(), NORTH: []}, on_failure="stop", retries=0)
    run = test.run(team, "When?")
    assert (run.status, run.error["type"]) == ("failed", "TaskFailed")
    assert "Task 'n' failed" in run.error["message"]


def test_a_person_edits_and_approves_the_plan() -> None:
    test, _ = engine({"I lead.": [BOTH, "North [1].", OK], **found()}, approve_plan=True)
    run = test.run(team, "When?")
    assert run.status == "waiting"
    id = run.memory.row.id
    assert decode(run.memory.approvals["approve#0"].arguments) == BOTH
    circle = plan(("n", "north", "?", ["n"]))
    test.decide(id, "approve#0", "approved", value=circle)
    run = test.resume(id)
    # What can't be carried out comes back to the person, with the reason.
    assert "in a circle" in run.memory.approvals["approve#1"].why
    test.decide(id, "approve#1", "approved", value=plan(("only", "north", "When?", [])))
    run = test.resume(id)
    assert run.status == "succeeded", run.error
    assert states(run) == [("only", "started"), ("only", "done")]
    test, _ = engine({"I lead.": [BOTH], **found()}, approve_plan=True)
    run = test.run(team, "When?")
    test.decide(run.memory.row.id, "approve#0", "rejected", comment="Too dear.")
    run = test.resume(run.memory.row.id)
    assert "The plan was not approved. Too dear." in run.error["message"]


def test_a_draft_is_sent_back_so_many_times_at_most() -> None:
    bad: Line = {"ok": False, "points": ["No."]}
    test, _ = engine({"I lead.": [BOTH, "One.", bad, "Two.", bad, "Three."], **found()}, reflect=2)
    assert test.run(team, "When?").output["text"] == "Three."
    test, _ = engine({"I lead.": [BOTH, "One."], **found()}, reflect=0)
    assert test.run(team, "When?").output["text"] == "One."


def test_a_crash_at_any_commit_changes_nothing() -> None:
    outputs = set()
    for crash_after in range(1, 40, 3):
        scripts: dict[str, list[Line]] = {
            PLANNER: [BOTH] * 2,
            NORTH: [search("north"), "Seven [1]."] * 2,
            SOUTH: [search("south"), "Seven [1]."] * 2,
            WRITER: ["At seven [1], and [2]."] * 2,
            REVIEWER: [OK] * 2,
        }
        test, _ = engine(scripts)
        run = test.run(team, "When?", crash_after=crash_after)
        assert run.status == "succeeded", (crash_after, run.error)
        assert len(test.below(run.memory.row.id)) == 5
        outputs.add(run.output["text"])
    assert outputs == {"At seven [1], and [2]."}


def test_wrong_options_are_told() -> None:
    test, _ = engine({"I lead.": []}, widht=3)
    run = test.run(team, "When?")
    assert "widht" in run.error["message"]
