"""The hub: every event once and in order, whatever comes between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from django.db import connection, connections

from agents.engine.notify import announce
from agents.live import hub as hub_module
from agents.live import notices, reads, subscription
from agents.live.hub import Hub
from agents.live.messages import LiveEvent, LivePartial, Message, RunState
from agents.live.subscription import Subscription
from agents.models import Partial, Run, RunStatus
from tests.factories import add_events, make_run, make_workspace

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]

PATIENCE = 5.0


async def write(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Write on a thread, as another process would, and leave no connection behind."""

    def call() -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.to_thread(call)


async def take_events(client: Subscription, until: int) -> list[int]:
    """Take messages until the event of this number; give the numbers of the events."""
    numbers: list[int] = []
    while not numbers or numbers[-1] < until:
        message = await asyncio.wait_for(anext(client), PATIENCE)
        if isinstance(message, LiveEvent):
            numbers.append(message.number)
    return numbers


async def take_all(client: Subscription) -> list[Message]:
    """Take messages until the run has ended."""
    return [message async for message in client]


async def take(client: Subscription, kind: type, found: Callable[[Any], object] = bool) -> Any:
    """Take messages until one of this kind that fits."""
    while True:
        message = await asyncio.wait_for(anext(client), PATIENCE)
        if isinstance(message, kind) and found(message):
            return message


@pytest.fixture
def run() -> Run:
    return make_run(make_workspace())


async def test_gives_what_was_before_and_what_comes_after(run: Run) -> None:
    await write(add_events, run, "run_queued", "run_started")
    async with Hub().subscribe(run.pk) as client:
        assert await take_events(client, 2) == [1, 2]
        await write(add_events, run, "progress")
        assert await take_events(client, 3) == [3]


async def test_goes_on_after_a_number(run: Run) -> None:
    await write(add_events, run, *["progress"] * 5)
    async with Hub().subscribe(run.pk, after=3) as client:
        assert await take_events(client, 5) == [4, 5]


async def test_a_commit_is_told_at_once(run: Run) -> None:
    async with Hub().subscribe(run.pk) as client:
        await take(client, RunState)
        await asyncio.sleep(0.3)
        loop = asyncio.get_running_loop()
        start = loop.time()
        await write(add_events, run, "progress")
        await take_events(client, 1)
        # Far less than the second after which the hub looks without a notice.
        assert loop.time() - start < hub_module.SAFETY_SECONDS / 2


async def test_ends_after_the_last_event_with_the_result(run: Run) -> None:
    async with Hub().subscribe(run.pk) as client:
        await take(client, RunState)
        await write(Run.objects.filter(pk=run.pk).update, output={"text": "done"})
        await write(add_events, run, "progress", "run_succeeded", status=RunStatus.SUCCEEDED)
        messages = await asyncio.wait_for(take_all(client), PATIENCE)
    assert [message.number for message in messages if isinstance(message, LiveEvent)] == [1, 2]
    assert isinstance(messages[-1], RunState)
    assert (messages[-1].status, messages[-1].output) == ("succeeded", {"text": "done"})


async def test_an_ended_run_is_told_whole_and_ends(run: Run) -> None:
    await write(add_events, run, *["progress"] * 450, "run_failed", status=RunStatus.FAILED)
    async with Hub().subscribe(run.pk) as client:
        messages = await asyncio.wait_for(take_all(client), PATIENCE)
    assert [message.number for message in messages if isinstance(message, LiveEvent)] == list(range(1, 452))


async def test_a_run_that_is_not_there_ends_at_once(run: Run) -> None:
    await write(run.delete)
    async with Hub().subscribe(run.pk) as client:
        assert await asyncio.wait_for(take_all(client), PATIENCE) == []


async def test_a_state_that_changes_without_an_event_is_told(run: Run) -> None:
    async with Hub().subscribe(run.pk) as client:
        await take(client, RunState)

        def pause() -> None:
            Run.objects.filter(pk=run.pk).update(reason="waiting: a slot")
            announce(live=True)

        await write(pause)
        state = await take(client, RunState)
    assert state.reason == "waiting: a slot"


@pytest.mark.fault(33)
async def test_a_slow_client_keeps_little_and_misses_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription, "QUEUE", 20)
    async with Hub().subscribe(run.pk) as slow:
        await take(slow, RunState)
        for _ in range(15):
            await write(add_events, run, *["progress"] * 10)
            await asyncio.sleep(0.03)
        assert len(slow._queue) <= 20
        assert slow.is_behind
        assert await take_events(slow, 150) == list(range(1, 151))
        await write(add_events, run, "progress")
        assert await take_events(slow, 151) == [151]


async def test_many_clients_at_once_cost_one_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    original = reads.read_news

    def counting(wants: Any) -> Any:
        looks.append(len(wants))
        return original(wants)

    hub = Hub()
    async with _many(hub, run, 20) as clients:
        await asyncio.gather(*(take(client, RunState) for client in clients))
        await asyncio.sleep(0.2)
        monkeypatch.setattr(hub_module, "read_news", counting)
        await write(add_events, run, "progress", "progress")
        assert await asyncio.gather(*(take_events(client, 2) for client in clients)) == [[1, 2]] * 20
    assert len(looks) <= 4


async def test_clients_that_come_and_go_while_a_run_writes(run: Run) -> None:
    hub = Hub()
    total = 600

    async def writing() -> None:
        for _ in range(total // 5):
            await write(add_events, run, *["progress"] * 5)
        await write(add_events, run, "run_succeeded", status=RunStatus.SUCCEEDED)

    async def client(patience: int) -> list[int]:
        """Take a few messages, drop the connection, come back by number, until the run has ended."""
        numbers: list[int] = []
        while True:
            async with hub.subscribe(run.pk, after=numbers[-1] if numbers else 0) as watching:
                for _ in range(patience):
                    try:
                        message = await asyncio.wait_for(anext(watching), PATIENCE)
                    except StopAsyncIteration:
                        return numbers
                    if isinstance(message, LiveEvent):
                        numbers.append(message.number)

    seen, *_ = await asyncio.gather(asyncio.gather(*(client(7 * n) for n in range(1, 9))), writing())
    assert all(numbers == list(range(1, total + 2)) for numbers in seen)


async def test_streamed_text_comes_once_and_begins_anew_for_each_client(run: Run) -> None:
    def say(number: int, text: str) -> None:
        Partial.objects.create(run=run, key="think#0", attempt=1, number=number, text=text)
        announce(live=True)

    hub = Hub()
    await write(say, 1, "One ")
    await write(say, 2, "two ")
    async with hub.subscribe(run.pk) as first:
        text = await take(first, LivePartial)
        assert (text.text, text.seq, text.reset) == ("One two ", 2, True)
        await write(say, 3, "three ")
        more = await take(first, LivePartial)
        assert (more.text, more.seq, more.reset) == ("three ", 3, False)
        async with hub.subscribe(run.pk) as second:
            assert (await take(second, LivePartial)).text == "One two three "
            await write(say, 4, "four")
            assert (await take(first, LivePartial)).text == "four"
            assert (await take(second, LivePartial)).text == "four"


async def test_a_dead_listener_is_made_good_by_the_safety_look(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def deaf(poke: Callable[[], None]) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(notices, "watch", deaf)
    async with Hub().subscribe(run.pk) as client:
        await take(client, RunState)
        await write(add_events, run, "progress")
        assert await take_events(client, 1) == [1]


async def test_a_terminated_listener_comes_back(run: Run) -> None:
    if connection.vendor != "postgresql":
        # SQLite has no listener that could die.
        return

    def terminate() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE 'LISTEN%%'"
            )
            return int(cursor.fetchone()[0])

    async with Hub().subscribe(run.pk) as client:
        await take(client, RunState)
        assert await write(terminate) == 1
        await asyncio.sleep(0.5)
        await write(add_events, run, "progress")
        assert await take_events(client, 1) == [1]
        assert await write(terminate) == 1


async def test_nothing_is_left_when_the_last_client_goes(run: Run) -> None:
    hub = Hub()
    before = asyncio.all_tasks()
    async with hub.subscribe(run.pk) as client, hub.subscribe_runs(run.workspace_id) as board:
        await take(client, RunState)
        await board.next(PATIENCE)
    assert asyncio.all_tasks() == before
    assert hub._reader is None


async def test_a_list_gives_its_runs_and_then_what_changes(run: Run) -> None:
    def start() -> Run:
        other = make_run(run.workspace)
        make_run()
        announce(live=True)
        return other

    async with Hub().subscribe_runs(run.workspace_id) as board:
        assert [line.id for line in await _changed(board)] == [run.pk]
        other = await write(start)
        assert [line.id for line in await _changed(board)] == [other.pk]
        await write(add_events, run, "run_cancelled", status=RunStatus.CANCELLED)
        assert [(line.id, line.status) for line in await _changed(board)] == [(run.pk, "cancelled")]


async def test_a_list_is_told_seldom_however_much_changes(run: Run) -> None:
    async with Hub().subscribe_runs(run.workspace_id) as board:
        await board.next(PATIENCE)
        told = 0

        async def count() -> None:
            nonlocal told
            while True:
                told += await board.next(PATIENCE) is not None

        counting = asyncio.create_task(count())
        loop = asyncio.get_running_loop()
        start = loop.time()
        for step in range(100):
            await write(lambda step=step: Run.objects.filter(pk=run.pk).update(steps_done=step))
            await write(announce, live=True)
        seconds = loop.time() - start
        counting.cancel()
    assert told <= seconds / 0.3 + 2


async def _changed(board: Any) -> Any:
    lines = await board.next(PATIENCE)
    assert lines is not None
    return lines


@asynccontextmanager
async def _many(hub: Hub, run: Run, count: int) -> AsyncIterator[list[Subscription]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(hub.subscribe(run.pk)) for _ in range(count)]
