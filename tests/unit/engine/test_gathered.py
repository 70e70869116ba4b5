"""Questions that are asked together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from agents.engine.gathered import Gathered


def test_who_asks_while_an_answer_is_on_its_way_is_answered_with_all_others_who_do() -> None:
    async def play() -> None:
        asked: list[list[int]] = []
        answer = asyncio.Event()

        async def ask(numbers: Sequence[int]) -> list[int]:
            asked.append(list(numbers))
            await answer.wait()
            return [number * 2 for number in numbers]

        double = Gathered(ask)
        first = asyncio.create_task(double(1))
        await asyncio.sleep(0.001)
        rest = [asyncio.create_task(double(number)) for number in (2, 3, 4)]
        await asyncio.sleep(0)
        # Nobody waits for this one any more.
        rest[1].cancel()
        answer.set()

        assert await first == 2
        assert [await one for one in (rest[0], rest[2])] == [4, 8]
        assert asked == [[1], [2, 3, 4]]
        assert await double(5) == 10

    asyncio.run(play())


def test_what_is_wrong_with_one_question_is_its_own_concern() -> None:
    async def play() -> None:
        async def ask(numbers: Sequence[int]) -> list[int]:
            if 3 in numbers:
                raise ValueError("three")
            return list(numbers)

        gathered = Gathered(ask)
        answers = await asyncio.gather(*(gathered(number) for number in range(1, 8)), return_exceptions=True)

        with pytest.raises(ValueError, match="three"):
            raise answers.pop(2)  # type: ignore[misc]
        assert answers == [1, 2, 4, 5, 6, 7]

    asyncio.run(play())
