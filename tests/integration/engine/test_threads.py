"""Threads: of the messages of one, each is answered after the one before; with real drivers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from django.db import connections

from agents.engine import Context, Permanent, control, turns, workflow
from agents.models import Inbox, Run, Thread, ThreadMessage, Wait, Worker, Workspace
from agents.services.errors import Conflict, IdempotencyConflict, InvalidInput
from agents.services.runs import cancel_run, pause_run, resume_run, retry_run
from agents.services.threads import change_thread, create_thread, post_message
from tests.driving import PATIENCE, RunningDriver, kinds, status_of, until, wait_for
from tests.factories import make_agent

StartDriver = Callable[..., RunningDriver]


class Talk:
    """A thread whose runs wait at a gate, and what was seen at it."""

    def __init__(self, workspace: Workspace, policy: str) -> None:
        self.seen: list[tuple[str, str]] = []
        self.at_work = 0
        self.most = 0
        self.gate = threading.Event()
        self.fails = False

        @workflow("talk")
        async def talk(ctx: Context, input: Any) -> Any:
            await ctx.step("answer", self.answer, input["goal"])
            return {"text": f"You said {input['goal']}."}

        agent = make_agent(workspace, workflow="talk")
        self.thread: Thread = create_thread(workspace=workspace, agent=agent, policy=policy, by=None)

    def answer(self, text: str) -> None:
        self.seen.append(("began", text))
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            assert self.gate.wait(PATIENCE)
            if self.fails:
                raise Permanent("It is no use.")
        finally:
            self.at_work -= 1
        self.seen.append(("ended", text))

    def say(self, text: str, **options: Any) -> Run:
        return post_message(self.thread, text=text, by=None, **options).run

    def until_at_work(self, text: str) -> None:
        wait_for(lambda: ("began", text) in self.seen, f"{text} to be at work")


@pytest.fixture
def talk(workspace: Workspace) -> Any:
    made = Talk(workspace, "enqueue")
    yield made
    made.gate.set()


def heard(run: Run) -> list[str]:
    """Give what a run was told of what was said before."""
    return [said["text"] for said in Run.objects.get(pk=run.pk).input.get("earlier", [])]


def test_what_is_said_at_once_is_answered_in_turns(driver: RunningDriver, talk: Talk) -> None:
    together = threading.Barrier(4)

    def say(number: int) -> None:
        with closing(connections["default"]):
            together.wait(PATIENCE)
            talk.say(f"{number}", idempotency_key="a" if number < 2 else "")

    with ThreadPoolExecutor(4) as people:
        results = [people.submit(say, n) for n in range(4)]
        # Two of them have one key: one is another request.
        assert [type(r.exception()) for r in results if r.exception()] == [IdempotencyConflict]
    messages = list(ThreadMessage.objects.order_by("number").select_related("run"))
    assert [message.number for message in messages] == [1, 2, 3]
    waiting = [message.run for message in messages[1:]]
    assert {run.reason for run in waiting} == {"waiting: its turn in the thread"}
    assert turns.give_turns().given == 0
    talk.gate.set()
    for message in messages:
        assert until(message.run_id).status == "succeeded"
    assert talk.most == 1
    first, second, third = (message.text for message in messages)
    assert talk.seen == [(did, text) for text in (first, second, third) for did in ("began", "ended")]
    assert heard(messages[0].run) == []
    assert heard(messages[2].run) == [first, f"You said {first}.", second, f"You said {second}."]
    assert kinds(messages[2].run_id)[:2] == ["run_queued", "run_woken"]
    assert not Wait.objects.exists()
    # Idle again: what comes next is told all of it at once, and its key counts once.
    fourth = talk.say("4", idempotency_key="k")
    assert talk.say("4", idempotency_key="k").pk == fourth.pk
    assert until(fourth.pk).status == "succeeded"
    assert len(heard(fourth)) == 6


def test_a_turn_is_kept_when_the_worker_dies(start_driver: StartDriver, talk: Talk) -> None:
    first, second = start_driver(), start_driver()
    runs = [talk.say("1"), talk.say("2"), talk.say("3")]
    talk.until_at_work("1")
    holder = Run.objects.values_list("worker_id", flat=True).get(pk=runs[0].pk)
    assert holder in (first.worker_id, second.worker_id)
    # Declared dead in the middle of it, as after a kill: its run goes to the other, and the others still wait.
    Worker.objects.filter(pk=holder).update(state="dead")
    wait_for(lambda: talk.seen.count(("began", "1")) == 2, "the other worker to take it over")
    assert [status_of(run.pk) for run in runs[1:]] == ["waiting", "waiting"]
    talk.gate.set()
    for run in runs:
        assert until(run.pk).status == "succeeded"
    began = [text for did, text in talk.seen if did == "began"]
    assert began == ["1", "1", "2", "3"]
    assert heard(runs[2]) == ["1", "You said 1.", "2", "You said 2."]


def test_a_message_may_interrupt(driver: RunningDriver, talk: Talk) -> None:
    change_thread(talk.thread, policy="interrupt")
    first = talk.say("1")
    talk.until_at_work("1")
    second, third = talk.say("2"), talk.say("3")
    # The second had not begun: it is cancelled at once. The first is stopping; the third comes after it.
    assert until(second.pk).status == "cancelled"
    talk.gate.set()
    assert until(first.pk).status == "cancelled"
    assert until(third.pk).status == "succeeded"
    assert ("began", "2") not in talk.seen
    assert heard(third) == ["1", "2"]


def test_a_message_may_be_refused(talk: Talk) -> None:
    change_thread(talk.thread, policy="reject")
    together = threading.Barrier(3)

    def say(number: int) -> None:
        with closing(connections["default"]):
            together.wait(PATIENCE)
            talk.say(f"{number}")

    with ThreadPoolExecutor(3) as people:
        results = [people.submit(say, n) for n in range(3)]
    assert sorted(type(r.exception()).__name__ for r in results) == ["Conflict", "Conflict", "NoneType"]
    assert Run.objects.count() == 1
    with pytest.raises(InvalidInput, match="1 to"):
        talk.say(" ")


def test_who_waits_may_be_paused_cancelled_and_passed_over(driver: RunningDriver, talk: Talk) -> None:
    talk.fails = True
    runs = [talk.say(f"{n}") for n in range(1, 5)]
    talk.until_at_work("1")
    # Resumed before its turn it waits on; cancelled it lets nobody through before the first has ended.
    pause_run(runs[3], by=None)
    resume_run(runs[3], by=None)
    pause_run(runs[2], by=None)
    cancel_run(runs[1], by=None)
    assert turns.give_turns().given == 0
    assert [status_of(run.pk) for run in runs] == ["running", "cancelled", "waiting", "waiting"]
    talk.gate.set()
    assert until(runs[0].pk).status == "failed"
    # It is the turn of the paused one: nobody overtakes it, and the failed one can't be retried beside it.
    assert turns.give_turns().given == 0
    with pytest.raises(Conflict, match="Another message"):
        retry_run(runs[0], by=None)
    talk.fails = False
    resume_run(runs[2], by=None)
    assert until(runs[3].pk).status == "succeeded"
    assert until(runs[2].pk).status == "succeeded"
    assert [text for did, text in talk.seen if did == "ended"] == ["3", "4"]
    assert heard(runs[3]) == ["1", "2", "3", "You said 3."]
    retry_run(runs[0], by=None)
    assert until(runs[0].pk).status == "succeeded"
    assert not Inbox.objects.filter(consumed_at=None).exists()


@pytest.mark.fault(43)
def test_what_strangers_wrote_taints_who_hears_it(driver: RunningDriver, talk: Talk) -> None:
    first, second = talk.say("1"), talk.say("2")
    talk.until_at_work("1")
    Run.objects.filter(pk=first.pk).update(tainted=True)
    talk.gate.set()
    assert until(second.pk).tainted
    assert talk.say("3").tainted
    control.cancel(second.pk, by="tester")


def test_only_the_latest_part_of_a_long_thread_is_heard(
    driver: RunningDriver, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk.gate.set()
    monkeypatch.setattr(turns, "MAX_CHARACTERS", 40)
    for text in ("one", "two", "three"):
        until(talk.say(text).pk)
    assert heard(talk.say("four")) == ["two", "You said two.", "three", "You said three."]
