"""Questions that are asked together: while one answer is on its way, those who ask the next thing gather."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 500


class Gathered(Generic[T, R]):
    """Belongs to one event loop. `ask` answers many questions, in their order.

    If it fails, each half is asked by itself: what is wrong with one question is the concern of that one alone.
    """

    def __init__(self, ask: Callable[[Sequence[T]], Awaitable[Sequence[R]]]) -> None:
        self._ask = ask
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def __call__(self, question: T) -> R:
        """Ask, along with all who ask now."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._waiting.append((question, answer))
        if self._asking is None:
            self._asking = loop.create_task(self._ask_all())
        return await answer

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
                await self._answer(taken)
        finally:
            self._asking = None

    async def _answer(self, taken: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            answers = await self._ask([question for question, _ in taken])
        except Exception as error:  # noqa: BLE001 (handed on to who asked)
            if len(taken) > 1:
                middle = len(taken) // 2
                await self._answer(taken[:middle])
                await self._answer(taken[middle:])
            elif not taken[0][1].done():
                taken[0][1].set_exception(error)
            return
        for (_, future), answer in zip(taken, answers, strict=True):
            if not future.done():
                future.set_result(answer)
