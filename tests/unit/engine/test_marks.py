"""Marks: who is on the processor, seen from outside, whatever way a coroutine takes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from agents.engine.marks import PROCESSOR, Marks, MarksFile, mark_of
from agents.engine.scope import Scope, current_scope

RUN = uuid4()


@pytest.fixture
def file(tmp_path: Path) -> MarksFile:
    return MarksFile(tmp_path, "host", 12, 34)


@pytest.fixture
def marks(file: MarksFile) -> Marks:
    return Marks.make(file.path)


@pytest.fixture
def scope() -> Scope:
    made = Scope("", datetime.now(UTC))
    made.mark = mark_of(RUN, "think#0")
    return made


def test_a_fresh_page_accuses_nobody(file: MarksFile, marks: Marks) -> None:
    last = file.last()
    assert last is not None
    assert (last.processor, last.threads, last.exit_code, last.is_blocked) == (None, (), None, False)
    assert file.turns() == 0
    marks.tick()
    assert file.turns() == 1


def test_tasks_of_a_step_are_marked_and_others_are_not(file: MarksFile, marks: Marks, scope: Scope) -> None:
    seen: list[bool] = []

    def is_marked() -> bool:
        last = file.last()
        assert last is not None
        return any(mark.run_id == RUN and mark.key == "think#0" for mark in last.present)

    async def look() -> None:
        seen.append(is_marked())
        await asyncio.sleep(0)
        seen.append(is_marked())
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append(is_marked())

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(marks.task_factory)
        foreign = asyncio.create_task(look())
        await asyncio.sleep(0.01)
        current_scope.set(scope)
        own = asyncio.create_task(look(), name="own")
        current_scope.set(None)
        assert own.get_name() == "own"
        await asyncio.sleep(0.01)
        seen.append(is_marked())  # both wait
        for task in (foreign, own):
            task.cancel()
            await task

    asyncio.run(main())
    assert seen == [False, False, True, True, False, False, True]


def test_a_task_cancelled_before_its_first_step_leaves_no_warning(marks: Marks, scope: Scope) -> None:
    async def never() -> None:
        raise AssertionError

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(marks.task_factory)
        current_scope.set(scope)
        task = asyncio.create_task(never())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_threads_are_marked_while_they_are_at_it(file: MarksFile, marks: Marks) -> None:
    inside = marks.in_thread(file.last, mark_of(RUN, "act#0"))
    assert inside is not None
    assert [(mark.run_id, mark.key) for mark in inside.threads] == [(RUN, "act#0")]
    after = file.last()
    assert after is not None
    assert after.threads == ()


def test_more_threads_than_there_is_room_for_still_run(marks: Marks) -> None:
    def nest(depth: int) -> int:
        return 0 if depth == 0 else 1 + marks.in_thread(lambda: nest(depth - 1), mark_of(RUN, "act#0"))

    assert nest(200) == 200


def test_a_long_key_stays_within_its_place(file: MarksFile, marks: Marks) -> None:
    marks.tick()
    marks.put(mark_of(RUN, "ü" * 2000))
    marks.in_thread(lambda: None, mark_of(RUN, "x" * 2000))
    assert len(marks.page) == 8192
    assert marks.page[PROCESSOR] == 1
    last = file.last()
    assert last is not None
    assert last.threads == ()
    assert last.processor is not None
    assert last.processor.run_id == RUN


def test_a_damaged_file_accuses_nobody(file: MarksFile, marks: Marks) -> None:
    file.path.write_bytes(b"short")
    assert file.last() is None
    assert file.turns() == 0
