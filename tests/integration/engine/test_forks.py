"""Forks: what is copied, what runs again, what a person wrote; with a real driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from agents.engine import Context, Permanent, control, retrying, workflow
from agents.engine.messages import Reply, ToolCall, ToolResult
from agents.engine.ports import Need, ToolSpec
from agents.models import Approval, Artifact, LargeOutcome, Run, RunEvent, Step
from agents.services.approvals import decide_approval
from agents.services.errors import InvalidInput, NotFound
from agents.services.forks import fork_run
from agents.services.previews import preview_fork, preview_resume, preview_retry
from agents.testing import ScriptedModel, ScriptedTools
from agents.workflows.react import react
from tests.driving import RunningDriver, kinds, steps_of, until, wait_for

Queue = Callable[..., UUID]


def fork(run_id: UUID, step: str = "", **options: Any) -> Run:
    return fork_run(Run.objects.get(pk=run_id), step=step, by=None, **options)


def preview(run_id: UUID, step: str = "", *, is_edited: bool = False) -> tuple[list[str], list[str], list[str]]:
    """Give the keys of what is reused and of what runs again, and the effects."""
    said = preview_fork(Run.objects.get(pk=run_id), step=step, is_edited=is_edited)
    return [s.key for s in said.reused], [s.key for s in said.again], [effect.key for effect in said.effects]


def noted(did: list[Any], what: Any, value: Any) -> Any:
    """Give a value, and take note of what is done for it."""
    did.append(what)
    return value


def done(run: Run) -> Any:
    ended = until(run.pk)
    assert ended.status == "succeeded", (ended.reason, ended.error)
    return ended.output


def test_a_fork_does_what_comes_after_the_chosen_step(driver: RunningDriver, queue: Queue) -> None:
    did: list[Any] = []

    @workflow("line")
    async def line(ctx: Context, input: Any) -> Any:
        drawn = [ctx.now().isoformat(), ctx.random(), str(ctx.uuid())]
        first = await ctx.step("first", lambda: noted(did, "first", "x" * 300_000))
        await ctx.artifact("notes.txt", "kept")
        await ctx.emit("half", 1)
        # Its input is not the same in a fork: what is copied is reused all the same.
        second = await ctx.step("second", lambda run: noted(did, "second", len(run)), str(ctx.run_id))
        third = await ctx.step("third", lambda: noted(did, "third", input), effect="unsafe")
        return [len(first), second, third, *drawn]

    run_id = queue("line", {"goal": "a"})
    before = done(Run.objects.get(pk=run_id))
    assert preview(run_id, "third#0") == (
        ["first#0", "artifact:notes.txt#0", "second#0"],
        ["third#0"],
        ["third#0"],
    )
    forked = fork(run_id, "third#0")
    assert done(forked) == before
    assert did == ["first", "second", "third", "third"]
    run = Run.objects.get(pk=forked.pk)
    assert (run.forked_from_id, run.fork) == (run_id, {"step": "third#0", "edited": "", "by": "system"})
    assert run.steps_done == Run.objects.get(pk=run_id).steps_done
    assert kinds(run.pk).count("progress") == 0
    told = RunEvent.objects.get(run=run, number=1).data
    assert (told["forked_from"], told["step"], told["source"]) == (str(run_id), "third#0", "fork")
    # Its own rows, and the same content: the origin may go.
    assert LargeOutcome.objects.filter(run=run).count() == 1
    files = Artifact.objects.filter(run__in=[run_id, run.pk]).values_list("key", "address").distinct()
    assert (files.count(), Artifact.objects.count()) == (1, 2)
    # Of a fork, with the input edited; and once more from the beginning, where nothing is left of either.
    assert done(fork(run.pk, "third#0", input={"goal": "b"}))[:6] == [*before[:2], {"goal": "b"}, *before[3:6]]
    anew = fork(run.pk, input="c")
    assert done(anew)[2:3] == [{"goal": "c"}]
    assert did[4:] == ["third", "first", "second", "third"]
    assert steps_of(anew.pk)["fork"].outcome["origin"] == str(run.pk)


def test_branches_beside_the_chosen_step_are_kept(driver: RunningDriver, queue: Queue) -> None:
    did: list[str] = []

    @workflow("wide")
    async def wide(ctx: Context, input: Any) -> Any:
        async def branch(name: str) -> Any:
            await ctx.step("early", did.append, f"{name} early")
            return await ctx.step("late", lambda: noted(did, f"{name} late", name), effect="unsafe")

        await ctx.step("before", did.append, "before")
        found = await ctx.gather(branch("a"), branch("b"))
        return await ctx.step("after", lambda: noted(did, "after", found))

    run_id = queue("wide")
    assert done(Run.objects.get(pk=run_id)) == ["a", "b"]
    assert preview(run_id, "gather#0/0/late#0") == (
        ["before#0", "gather#0/0/early#0", "gather#0/1/early#0", "gather#0/1/late#0"],
        ["gather#0/0/late#0", "after#0"],
        ["gather#0/0/late#0", "after#0"],
    )
    did.clear()
    assert done(fork(run_id, "gather#0/0/late#0")) == ["a", "b"]
    assert did == ["a late", "after"]
    did.clear()
    edited = fork(run_id, "gather#0/0/late#0", outcome="A")
    assert done(edited) == ["A", "b"]
    assert did == ["after"]
    step = steps_of(edited.pk)["gather#0/0/late#0"]
    assert "edited by system at the fork" in step.attempts[0]["message"]
    assert edited.fork == {"step": "gather#0/0/late#0", "edited": "outcome", "by": "system"}


def test_what_decided_between_branches_is_decided_anew(driver: RunningDriver, queue: Queue) -> None:
    lasts = {"a": 0.0, "b": 30.0}

    @workflow("racing")
    async def racing(ctx: Context, input: Any) -> Any:
        async def branch(name: str) -> str:
            await ctx.sleep(lasts[name])
            return str(await ctx.step("finish", lambda: name))

        return [await ctx.race(branch("a"), branch("b")), await ctx.timeout(20.0, branch("a"))]

    run_id = queue("racing")
    assert done(Run.objects.get(pk=run_id)) == [[0, "a"], "a"]
    assert preview(run_id, "race#0/0/finish#0")[1] == [
        "race#0/1/sleep#0",
        "race#0/0/finish#0",
        "race#0",
        "timeout#0",
        "timeout#0/0/sleep#0",
        "timeout#0/0/finish#0",
    ]
    assert "timeout#0" in preview(run_id, "timeout#0/0/finish#0")[1]
    assert done(fork(run_id, "race#0/0/finish#0")) == [[0, "a"], "a"]


def test_an_edited_tool_result_leads_elsewhere(
    driver: RunningDriver, queue: Queue, model: ScriptedModel, tools: ScriptedTools
) -> None:
    workflow("forked-react")(react)
    called: list[Any] = []

    async def look(arguments: Any, info: Any) -> str:
        called.append(arguments)
        return "It is 4 degrees."

    tools.functions["web_fetch"] = look
    tools.effects["web_fetch"] = ToolSpec("web_fetch", "look", {"type": "object"}, trust="untrusted")
    call = ToolCall("c1", "web_fetch", {"url": "http://weather"})
    model.replies = [Reply("assistant", "", tool_calls=(call,)), "Take a coat.", "Take a hat."]
    run_id = queue("forked-react", "What shall I wear?")
    done(Run.objects.get(pk=run_id))
    key = "gather#0/0/tool:web_fetch#0"
    reused, again, effects = preview(run_id, key, is_edited=True)
    assert (reused, again, effects) == (["think#0"], ["think#1"], [])
    forked = fork(run_id, key, outcome="It is 34 degrees.")
    assert done(forked)["text"] == "Take a hat."
    assert len(called) == 1
    assert model.requests[-1].messages[-1].text == "It is 34 degrees."
    step = steps_of(forked.pk)[key]
    assert step.outcome == ToolResult("tool", "It is 34 degrees.", name="web_fetch").to_json()
    # What strangers wrote may still be in it.
    assert forked.tainted
    assert step.tainted
    assert fork(run_id, "think#0").tainted is False
    assert (forked.cost_microusd, "workflow changed" in Run.objects.get(pk=forked.pk).reason) == (0, False)
    # A model's reply can be edited as well; what the provider said it was is gone then.
    reply = fork(run_id, "think#1", outcome={"text": "Take nothing.", "tool_calls": []})
    assert done(reply)["text"] == "Take nothing."
    refuses_what_is_no_tool_result(run_id, key)
    model.replies = ["none left"] * 2


def refuses_what_is_no_tool_result(run_id: UUID, key: str) -> None:
    for wrong, said in (
        ({"text": 1}, "outcome.text"),
        ({"txt": "a"}, "outcome.txt"),
        ({"text": "a", "citations": [{"title": "b"}]}, "outcome.citations.0.source"),
        ([], "outcome"),
    ):
        with pytest.raises(InvalidInput, match=said):
            fork(run_id, key, outcome=wrong)
    with pytest.raises(InvalidInput, match="not both"):
        fork(run_id, key, outcome="a", input="b")
    with pytest.raises(InvalidInput, match="Name the step"):
        fork(run_id, outcome="a")
    with pytest.raises(NotFound):
        fork(run_id, "think#7")


def decide(run: UUID, verdict: str) -> None:
    """Answer the question of a run as soon as it asks."""
    asked = wait_for(lambda: Approval.objects.waiting().filter(run_id=run).first(), "the question")
    decide_approval(asked, choice=verdict, by=None)


def test_an_approval_is_not_used_twice(driver: RunningDriver, queue: Queue, tools: ScriptedTools) -> None:
    sent: list[Any] = []

    async def send(arguments: Any, info: Any) -> str:
        sent.append(arguments["to"])
        return "sent"

    tools.functions["send"] = send
    tools.effects["send"] = ToolSpec("send", "send", {"type": "object"}, effect="unsafe")
    tools.needs["send"] = Need(why="It sends.")

    @workflow("letters")
    async def letters(ctx: Context, input: Any) -> Any:
        if (await ctx.approve("Begin")).is_approved:
            await ctx.tool("send", to="anna")
        return await ctx.step("end", lambda: "ended")

    run_id = queue("letters")
    Run.objects.filter(pk=run_id).update(tainted=True)

    decide(run_id, "approve")
    wait_for(lambda: sent or Approval.objects.filter(run_id=run_id).count() == 2, "the call")
    if not sent:
        decide(run_id, "approve")
    done(Run.objects.get(pk=run_id))
    assert sent == ["anna"]
    # Both are reused with what they allowed, neither without.
    assert "approve#0" in preview(run_id, "end#0")[0]
    again = preview(run_id, "tool:send#0")
    assert [key for key in again[0] if "approve" in key] == []
    assert again[2] == ["tool:send#0", "end#0"]
    forked = fork(run_id, "tool:send#0")
    decide(forked.pk, "reject")
    assert done(forked) == "ended"
    assert sent == ["anna"]
    # A no may be reused: nothing was done by it.
    assert "approve#0" in preview(forked.pk, "end#0")[0]


def test_children_that_had_not_ended_start_anew(driver: RunningDriver, queue: Queue) -> None:
    did: list[str] = []

    @workflow("forked-child")
    async def child(ctx: Context, input: Any) -> Any:
        return await ctx.step("work", lambda: noted(did, input, input), effect="unsafe")

    @workflow("forked-parent")
    async def parent(ctx: Context, input: Any) -> Any:
        await ctx.call("forked-child", "first")
        loose = await ctx.spawn("forked-child", "second")
        await ctx.step("middle", did.append, "middle")
        return await loose.result()

    run_id = queue("forked-parent")
    assert done(Run.objects.get(pk=run_id)) == "second"
    said = preview_fork(Run.objects.get(pk=run_id), step="middle#0")
    assert [step.key for step in said.reused] == ["call:forked-child#0"]
    assert said.sub_runs == 1
    assert [(effect.key, effect.run_id != run_id) for effect in said.unsafe] == [("work#0", True)]
    forked = fork(run_id, "middle#0")
    assert done(forked) == "second"
    assert sorted(did) == ["first", "middle", "middle", "second", "second"]
    assert Run.objects.filter(parent_id=forked.pk).count() == 1


def test_a_run_that_goes_on_is_forked_and_goes_on(driver: RunningDriver, queue: Queue) -> None:
    @workflow("sleeper")
    async def sleeper(ctx: Context, input: Any) -> Any:
        await ctx.step("before", lambda: 1)
        await ctx.sleep(input)
        return await ctx.step("after", lambda: 2)

    run_id = queue("sleeper", 3600)
    until(run_id, "waiting")
    forked = fork(run_id, "sleep#0", input=0)
    assert done(forked) == 2
    assert Run.objects.get(pk=run_id).status == "waiting"
    said = preview_resume(Run.objects.get(pk=run_id))
    assert ([step.key for step in said.reused], said.again) == (["before#0"], ())
    control.cancel(run_id, by="tester")
    # Its fork was none of it.
    assert Run.objects.get(pk=forked.pk).status == "succeeded"


def test_a_retry_of_a_fork_keeps_its_beginning(driver: RunningDriver, queue: Queue) -> None:
    fails = [True]

    def work() -> str:
        if fails[0]:
            raise Permanent("not yet")
        return "done"

    @workflow("failing")
    async def failing(ctx: Context, input: Any) -> Any:
        number = ctx.random()
        await ctx.step("ready", lambda: None)
        return [number, await ctx.step("work", work)]

    run_id = queue("failing")
    until(run_id, "failed")
    said = preview_retry(Run.objects.get(pk=run_id))
    assert ([step.key for step in said.reused], [step.key for step in said.again]) == (["ready#0"], ["work#0"])
    forked = fork(run_id, "work#0")
    until(forked.pk, "failed")
    fails[0] = False
    retrying.retry(forked.pk, by="tester")
    retrying.retry(run_id, by="tester")
    assert done(forked) == done(Run.objects.get(pk=run_id))
    assert Step.objects.filter(run_id=forked.pk, superseded=True).count() == 1


def test_of_two_requests_with_one_key_one_forks(queue: Queue) -> None:
    @workflow("twice")
    async def twice(ctx: Context, input: Any) -> Any: ...

    run_id = queue("twice")
    first = fork(run_id, idempotency_key="k")
    assert fork(run_id, idempotency_key="k").pk == first.pk
    assert Run.objects.filter(forked_from=run_id).count() == 1
    assert Step.objects.filter(run=first).count() == 1
