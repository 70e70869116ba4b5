"""Lost wake-ups: in each window in which one could slip through, a rival acts just then.

The rival is run by a patched function, on a thread of its own, at exactly that point; the run must go on (or stop) as
if the rival had come at any other time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from agents.engine import Context, StepFailed, control, waking, workflow
from agents.engine.journal import postgres, sqlite
from agents.engine.journal.store import Store
from agents.engine.records import Batch, Park, WaitRecord
from agents.models import Run, Wait
from tests.driving import PATIENCE, RunningDriver, as_rival, kinds, until, wait_for

Queue = Callable[..., UUID]
StartDriver = Callable[..., RunningDriver]
Rival = Callable[[UUID], object]


@workflow("expectant")
async def expectant(ctx: Context, input: Any) -> Any:
    """Waits for a message like any step that a person or another run answers."""
    await ctx.step("first", lambda: 1)
    x = ctx._x
    message = await x.message("answer", WaitRecord("event", key="answer", name="answer"))
    last = await ctx.step("last", lambda text: text, message.data)
    # With the record of what came of it, never before: else a pause in between would lose it.
    x.change().consumed.append(message.id)
    return last


@workflow("windows-child")
async def child(ctx: Context, input: Any) -> Any:
    await ctx.sleep(3600)


@workflow("windows-parent")
async def parent(ctx: Context, input: Any) -> Any:
    try:
        await ctx.call("windows-child")
    except StepFailed as error:
        return error.type


@pytest.fixture(autouse=True)
def known(own_workflows: None) -> None:
    for name, function in (("expectant", expectant), ("windows-child", child), ("windows-parent", parent)):
        workflow(name)(function)


class Window:
    """A point in the engine at which a rival acts once: before or after a call of the store's."""

    def __init__(self, patch: pytest.MonkeyPatch, rival: Rival) -> None:
        self.patch, self.rival = patch, rival
        self.run_id: UUID | None = None
        self.fired = threading.Event()

    def open(self, method: str, *, before: bool, when: Callable[..., bool] = lambda *_: True) -> None:
        owner: type[Store] = sqlite.SqliteStore if connection.vendor == "sqlite" else postgres.PostgresStore
        stock = getattr(owner, method)

        def call(store: Store, *args: Any) -> Any:
            is_now = self.run_id is not None and not self.fired.is_set() and when(self.run_id, *args)
            if is_now and before:
                self.fire()
            result = stock(store, *args)
            if is_now and not before:
                self.fire()
            return result

        self.patch.setattr(owner, method, call)

    def fire(self) -> None:
        if not self.fired.is_set():
            self.fired.set()
            assert self.run_id is not None
            as_rival(self.rival, self.run_id)


def parks(run_id: UUID, worker_id: int, batch: Batch, now: Any) -> bool:
    return any(change.run_id == run_id and isinstance(change.ending, Park) for change in batch.changes)


def claims(run_id: UUID, worker_id: int, batch: Batch, now: Any) -> bool:
    return batch.claim is not None


def loads(run_id: UUID, ids: Any) -> bool:
    return run_id in (ids if isinstance(ids, list) else [ids])


WINDOWS: dict[str, Callable[[Window], None]] = {
    "before the park commits": lambda window: window.open("write", before=True, when=parks),
    "after the park committed": lambda window: window.open("write", before=False, when=parks),
    "before a claim": lambda window: window.open("write", before=True, when=claims),
    "after a claim": lambda window: window.open("write", before=False, when=claims),
    "before the history is read": lambda window: window.open("histories", before=True, when=loads),
    "after the history is read": lambda window: window.open("histories", before=False, when=loads),
}


def answer(run_id: UUID) -> None:
    control.tell(run_id, "answer", "yes")


def cancel(run_id: UUID) -> None:
    control.cancel(run_id, by="rival")


def pause(run_id: UUID) -> None:
    control.pause(run_id, by="rival")


@pytest.fixture(params=list(WINDOWS))
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Rival], Window]:
    def make(rival: Rival) -> Window:
        made = Window(monkeypatch, rival)
        WINDOWS[request.param](made)
        return made

    return make


def start(queue: Queue, window: Window, start_driver: StartDriver, name: str = "expectant") -> UUID:
    """Queue a run that was worked on before, so that it has a history to load, and let a driver have it."""
    run_id = queue(name)
    Run.objects.filter(pk=run_id).update(epoch=1)
    window.run_id = run_id
    start_driver()
    assert window.fired.wait(PATIENCE), "the window was never reached"
    return run_id


def test_a_message_is_never_lost(queue: Queue, start_driver: StartDriver, window: Callable[[Rival], Window]) -> None:
    run_id = start(queue, window(answer), start_driver)
    run = until(run_id)
    assert (run.status, run.output) == ("succeeded", '"yes"')
    kinds(run_id)


def test_a_cancel_is_never_lost(queue: Queue, start_driver: StartDriver, window: Callable[[Rival], Window]) -> None:
    run_id = start(queue, window(cancel), start_driver)
    assert until(run_id).status == "cancelled"
    assert kinds(run_id).count("run_cancel_requested") == 1


def test_a_pause_is_never_lost_and_holds(
    queue: Queue, start_driver: StartDriver, window: Callable[[Rival], Window]
) -> None:
    run_id = start(queue, window(pause), start_driver)
    wait_for(lambda: Wait.objects.filter(run_id=run_id, kind="paused").exists(), "the pause")
    until(run_id, "waiting")
    as_rival(answer, run_id)
    assert until(run_id, "waiting").reason.startswith("paused")
    as_rival(control.resume, run_id, by="rival")
    assert until(run_id).output == '"yes"'
    kinds(run_id)


def test_two_rivals_at_once(queue: Queue, start_driver: StartDriver, window: Callable[[Rival], Window]) -> None:
    """A message and a pause in the same window: the one must not hide the other."""

    def both(run_id: UUID) -> None:
        answer(run_id)
        pause(run_id)

    run_id = start(queue, window(both), start_driver)
    run = until(run_id, "waiting", "succeeded")
    if run.status == "waiting":
        wait_for(lambda: Wait.objects.filter(run_id=run_id, kind="paused").exists(), "the pause")
        as_rival(control.resume, run_id, by="rival")
    assert until(run_id).output == '"yes"'


def test_a_childs_end_is_never_lost(queue: Queue, start_driver: StartDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child ends between the moment its parent read its inbox and the moment it parks."""

    def end_child(run_id: UUID) -> None:
        control.cancel(Run.objects.get(parent_id=run_id).pk, by="rival")

    window = Window(monkeypatch, end_child)

    def parks_with_child(run_id: UUID, *args: Any) -> bool:
        return parks(run_id, *args) and as_rival(Run.objects.filter(parent_id=run_id).exists)

    window.open("write", before=True, when=parks_with_child)
    run_id = start(queue, window, start_driver, "windows-parent")
    assert until(run_id).output == "Cancelled"


def test_a_timer_that_is_due_while_parking_is_not_lost(
    queue: Queue, start_driver: StartDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    @workflow("brief")
    async def brief(ctx: Context, input: Any) -> Any:
        await ctx.sleep(0.01)
        return ctx.now().isoformat()

    window = Window(monkeypatch, lambda run_id: waking.wake_due())
    window.open("write", before=True, when=parks)
    run_id = queue("brief")
    window.run_id = run_id
    start_driver(short_pause=-1.0)
    assert until(run_id).status == "succeeded"
    assert window.fired.is_set()


def test_a_message_for_one_branch_does_not_wait_for_another(queue: Queue, driver: RunningDriver) -> None:
    """Branch A is in a long step; the message for branch B is noticed all the same."""
    release, seen = threading.Event(), threading.Event()

    @workflow("two-branches")
    async def flow(ctx: Context, input: Any) -> Any:
        async def waiting() -> Any:
            message = await ctx._x.message("answer", WaitRecord("event", key="answer"))
            ctx._x.change().consumed.append(message.id)
            return await ctx.step("seen", partial(_set, seen))

        return await ctx.gather(waiting(), ctx.step("long", lambda: release.wait(PATIENCE)))

    run_id = queue("two-branches")
    until(run_id, "running")
    as_rival(answer, run_id)
    assert seen.wait(PATIENCE)
    release.set()
    assert until(run_id).output == [1, True]


def _set(event: threading.Event) -> int:
    event.set()
    return 1


def test_early_messages_are_kept_in_their_order(queue: Queue, driver: RunningDriver) -> None:
    hold = threading.Event()

    @workflow("late-reader")
    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.step("hold", lambda: hold.wait(PATIENCE))
        found = []
        for _ in range(3):
            message = await ctx._x.message("answer", WaitRecord("event", key="answer"))
            ctx._x.change().consumed.append(message.id)
            found.append(await ctx.step("read", lambda data=message.data: data))
        return found

    run_id = queue("late-reader")
    until(run_id, "running")
    for n in range(3):
        as_rival(control.tell, run_id, "answer", n)
    hold.set()
    assert until(run_id).output == ["0", "1", "2"]


def test_a_persons_word_survives_a_pause(
    queue: Queue, start_driver: StartDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is paused between the person's "try again" and the attempt: nobody is asked a second time."""
    tries: list[int] = []

    def pay() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("the answer was cut off")
        return "paid"

    @workflow("pays")
    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("pay", pay, effect="unsafe")

    def decide_and_pause(run_id: UUID) -> None:
        control.tell(run_id, "decide:pay#0", {"choice": "retry"})
        pause(run_id)

    window = Window(monkeypatch, decide_and_pause)
    window.open("write", before=True, when=parks)
    run_id = window.run_id = queue("pays")
    start_driver()
    assert window.fired.wait(PATIENCE)
    wait_for(Wait.objects.filter(run_id=run_id, kind="paused").exists, "the pause")
    assert len(tries) == 1
    control.resume(run_id, by="rival")
    assert until(run_id, "succeeded").output == "paid"
    assert len(tries) == 2
