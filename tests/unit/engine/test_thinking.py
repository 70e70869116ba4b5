"""Asking models: answers of a given form and their repair, the models fallen back on, and what a replay sees of it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field

from agents.engine import Context, OutputInvalid, StepFailed
from agents.engine.canonical import decode
from agents.engine.errors import Permanent, Retryable
from agents.engine.messages import Message, Reply, system, user
from agents.engine.ports import AgentConfig, ModelRequest
from agents.testing import ScriptedModel, TestRun, WorkflowTest

CHAT = (system("Be brief."), user("How many?"))
SCHEMA = {
    "type": "object",
    "properties": {"count": {"type": "integer", "minimum": 1}, "why": {"type": "string"}},
    "required": ["count"],
}


class Count(BaseModel):
    """A number with a reason."""

    count: int = Field(ge=1)
    why: str = ""


def failing(error: Permanent | Retryable, instead: str = "") -> Exception:
    error.instead = instead
    return error


def agent(**values: Any) -> AgentConfig:
    return AgentConfig("counter", 1, model="a:one", **values)


async def by_schema(ctx: Context, input: Any) -> Any:
    return (await ctx.think(CHAT, output=SCHEMA)).output


async def by_model(ctx: Context, input: Any) -> Any:
    found = (await ctx.think(CHAT, output=Count)).output
    assert isinstance(found, Count)
    return found.count


async def plainly(ctx: Context, input: Any) -> Any:
    return (await ctx.think(CHAT)).model


def run(
    workflow: Any, *replies: Reply | str | Exception, crash_after: int = 0, **values: Any
) -> tuple[TestRun, list[ModelRequest]]:
    model = ScriptedModel(replies)
    return WorkflowTest(model=model, agent=agent(**values)).run(workflow, crash_after=crash_after), model.requests


@pytest.mark.parametrize(
    "text",
    [
        '{"count": 3}',
        ' {"count": 3, "why": "counted"}\n',
        'Here it is:\n```json\n{"count": 3}\n```\nGlad to help.',
        'The answer: {"count": 3}.',
    ],
)
def test_an_answer_is_read_with_or_without_words_around_it(text: str) -> None:
    shown, requests = run(by_schema, text)
    assert shown.output["count"] == 3
    assert requests[0].output == SCHEMA
    assert run(by_model, text)[0].output == 3


def test_an_answer_that_does_not_fit_is_handed_back_with_what_is_wrong() -> None:
    shown, requests = run(by_schema, "three", '{"count": 0, "why": 7}', '{"count": 3}')
    assert shown.output == {"count": 3}
    assert [step.label for step in shown.steps.values()] == ["think", "repair", "repair"]
    told = [request.messages[-1].text for request in requests[1:]]
    assert "not JSON" in told[0]
    assert "count: 0 is less than the minimum of 1" in told[1]
    assert "why: 7 is not of type 'string'" in told[1]
    # What a step records is what came on top of the step before.
    assert decode(shown.steps["think#1"].input)["after"] == "think#0"


def test_a_model_has_rules_beside_its_schema() -> None:
    shown, requests = run(by_model, '{"count": 0}', '{"count": 2}')
    assert shown.output == 2
    assert "count: Input should be greater than or equal to 1" in requests[1].messages[-1].text


@pytest.mark.parametrize(("repairs", "asked"), [(0, 1), (1, 2), (2, 3)])
def test_after_the_last_repair_the_failure_says_what_was_wrong(repairs: int, asked: int) -> None:
    async def workflow(ctx: Context, input: Any) -> Any:
        return (await ctx.think(CHAT, output=SCHEMA, repairs=repairs)).output

    shown, requests = run(workflow, *['{"count": "many"}'] * 5)
    assert shown.status == "failed"
    assert shown.error["type"] == "OutputInvalid"
    assert "count: 'many' is not of type 'integer'" in shown.error["message"]
    assert len(requests) == asked


def test_a_replay_mends_nothing_again() -> None:
    async def workflow(ctx: Context, input: Any) -> Any:
        try:
            await ctx.think(CHAT, output=SCHEMA, repairs=1)
        except OutputInvalid as failure:
            await ctx.emit("failed", failure.key)
            return (await ctx.think(CHAT)).text

    replies = ["no", "no again", "give up"]
    for batches in range(1, 6):
        shown, requests = run(workflow, *replies, crash_after=batches)
        assert shown.output == "give up"
        # The one that was cut down by the crash may be asked anew.
        assert 3 <= len(requests) <= 4
        assert shown.events.count("step_finished") == 3


def test_a_schema_can_not_have_addresses_fetched() -> None:
    async def workflow(ctx: Context, input: Any) -> Any:
        return (await ctx.think(CHAT, output={"$ref": "http://127.0.0.1:9/x.json"}, repairs=0)).output

    assert "refers to what it does not hold" in run(workflow, "{}")[0].error["message"]


def test_a_reply_that_calls_tools_has_no_output() -> None:
    from agents.engine.messages import ToolCall

    async def workflow(ctx: Context, input: Any) -> Any:
        reply = await ctx.think(CHAT, output=SCHEMA)
        return [reply.output, len(reply.tool_calls)]

    assert run(workflow, Reply("assistant", "", (ToolCall("1", "look", {}),)))[0].output == [None, 1]


# -- other models ----------------------------------------------------------------------------------------------------


def test_the_next_model_is_asked_when_one_has_failed_for_good() -> None:
    shown, requests = run(
        plainly,
        failing(Permanent("The account is empty.", "ModelQuota"), "b:two"),
        failing(Permanent("No such model.", "ModelNotFound"), "c:three"),
        "found",
        fallbacks=("b:two", "c:three"),
    )
    assert shown.output == "c:three"
    assert [(request.model, request.others) for request in requests] == [
        ("a:one", ("b:two", "c:three")),
        ("b:two", ("c:three",)),
        ("c:three", ()),
    ]
    assert list(shown.steps) == ["think#0"]
    step = shown.steps["think#0"]
    assert [(entry["model"], entry["type"], entry["next"]) for entry in decode(step.attempts)] == [
        ("a:one", "ModelQuota", "b:two"),
        ("b:two", "ModelNotFound", "c:three"),
    ]
    assert (step.attempt, step.status) == (3, "succeeded")
    told = [decode(event.data) for _, event in shown.memory.events if event.kind == "step_retrying"]
    assert [(data["model"], data["next"]) for data in told] == [("a:one", "b:two"), ("b:two", "c:three")]


def test_a_model_that_is_away_is_tried_as_often_as_ever_and_so_is_the_next() -> None:
    away = [failing(Retryable("away"), "b:two") for _ in range(5)]
    shown, requests = run(plainly, *away, Retryable("also away"), "found", fallbacks=("b:two",))
    assert shown.output == "b:two"
    assert [request.model for request in requests] == ["a:one"] * 5 + ["b:two"] * 2


def test_who_asks_to_wait_for_long_is_not_waited_for() -> None:
    briefly, long = Retryable("busy", 30.0), Retryable("busy", 3600.0)
    shown, requests = run(plainly, failing(briefly, "b:two"), failing(long, "b:two"), "found", fallbacks=("b:two",))
    assert [request.model for request in requests] == ["a:one", "a:one", "b:two"]
    assert shown.output == "b:two"


def test_without_another_who_asks_to_wait_is_waited_for() -> None:
    shown, requests = run(plainly, Retryable("busy", 3600.0), "found")
    assert [request.model for request in requests] == ["a:one", "a:one"]
    assert shown.output == "a:one"


def test_a_refusal_is_final() -> None:
    shown, requests = run(plainly, Permanent("I will not.", "ModelRefused"), fallbacks=("b:two",))
    assert shown.error["type"] == "ModelRefused"
    assert len(requests) == 1


def test_the_failure_of_the_last_one_is_the_steps() -> None:
    replies = [failing(Permanent("first", "ModelQuota"), "b:two"), failing(Permanent("second", "ModelNotFound"))]
    shown, _ = run(plainly, *replies, fallbacks=("b:two",))
    assert (shown.status, shown.error["type"]) == ("failed", "ModelNotFound")


@pytest.mark.parametrize("batches", range(1, 6))
def test_whoever_takes_the_run_over_goes_on_with_the_same_model(batches: int) -> None:
    model = ScriptedModel([failing(Permanent("empty", "ModelQuota"), "b:two"), *["found"] * 3])
    test = WorkflowTest(model=model, agent=agent(fallbacks=("b:two",)))
    shown = test.run(plainly, crash_after=batches)
    assert shown.output == "b:two"
    models = [request.model for request in model.requests]
    # Once it is recorded that the first one is out, it is never asked again.
    assert models[-1] == "b:two"
    assert models.count("a:one") <= 2


def test_a_model_that_the_code_names_stands_alone() -> None:
    async def workflow(ctx: Context, input: Any) -> Any:
        await ctx.think(CHAT, model="x:own")

    shown, requests = run(workflow, failing(Permanent("none", "ModelNotFound"), "b:two"), fallbacks=("b:two",))
    assert requests[0].others == ()
    assert shown.error["type"] == "ModelNotFound"


# -- what is sent ----------------------------------------------------------------------------------------------------


def test_the_agents_sampling_counts_unless_the_code_says_otherwise() -> None:
    async def workflow(ctx: Context, input: Any) -> Any:
        await ctx.think(CHAT)
        await ctx.think(CHAT, temperature=0.0, max_output_tokens=5)

    sampling = {"temperature": 0.7, "top_p": 0.9, "max_output_tokens": 100, "seed": 7}
    _, requests = run(workflow, "a", "b", sampling=sampling)
    sent = [(r.temperature, r.top_p, r.max_output_tokens, r.seed) for r in requests]
    assert sent == [(0.7, 0.9, 100, 7), (0.0, 0.9, 5, 7)]


def test_the_agents_retry_policy_counts() -> None:
    shown, requests = run(plainly, *[Retryable("away")] * 9, retry={"max_attempts": 2})
    assert shown.status == "failed"
    assert len(requests) == 2


def test_a_summary_goes_on_in_the_place_of_what_it_sums_up() -> None:
    async def workflow(ctx: Context, input: Any) -> Any:
        first = await ctx.think(CHAT)
        summary = await ctx.compact([*CHAT, first])
        chat: list[Message] = [CHAT[0], summary]
        second = await ctx.think(chat)
        await ctx.think([*chat, second, user("And then?")])

    shown, requests = run(workflow, "one", "notes of it", "two", "three")
    assert shown.status == "succeeded", shown.error
    assert [request.purpose for request in requests] == ["answer", "compact", "answer", "answer"]
    assert requests[2].messages[1].text == "notes of it"
    assert shown.steps["compact#0"].kind == "compact"
    # The summary is stored once; from then on it is told by the step that made it.
    assert decode(shown.steps["think#1"].input)["messages"][1] == {"step": "compact#0"}
    assert decode(shown.steps["think#2"].input)["after"] == "think#1"


def test_a_failed_summary_is_a_failed_step() -> None:
    async def workflow(ctx: Context, input: Any) -> Any:
        try:
            await ctx.compact(CHAT)
        except StepFailed as failure:
            return failure.type

    assert run(workflow, Permanent("no", "ModelQuota"))[0].output == "ModelQuota"
