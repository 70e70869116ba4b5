"""What this process has reserved of the caps of trees of runs, and asks for.

All that runs of one tree ask for at a moment is decided in one exchange with the tables; while that is under way the
next asks gather. What is held is written as a whole, not as a difference: said twice, it counts once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from agents.engine.caps import NOTHING, Amounts, Caps, in_words, spent
from agents.engine.errors import CapReached

logger = logging.getLogger(__name__)

AGAIN = 0.2
"""Seconds after which those who wait for what others hold look again, and after which what is let go of is written."""
SHARE = 8
"""A block of steps is at most this part of what is left: others of the tree find some too."""

Decide = Callable[[Amounts, Amounts], Amounts]
"""Given what is spent and what others hold of a tree, decides; gives what this process then holds. Pure."""
Exchange = Callable[[UUID, Decide], Awaitable[None]]
"""Carries a decision out for a tree: nobody else decides about it meanwhile, and what is held then stands."""


@dataclass(slots=True)
class Ask:
    """A run wants so much for one of its steps, of the caps of `whose`; of steps it may get fewer, at least one.

    `unrecorded` is what it has taken although its row does not say so.
    """

    run_id: UUID
    key: str
    caps: Caps
    wanted: Amounts
    unrecorded: Amounts
    whose: str
    answer: asyncio.Future[Amounts]


@dataclass(slots=True)
class _Book:
    """One tree: what its runs in this process hold, by run and key, and what they ask for."""

    holds: dict[tuple[UUID, str], Amounts] = field(default_factory=dict)
    asks: list[Ask] = field(default_factory=list)
    is_stale: bool = False
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    serving: asyncio.Task[None] | None = None

    def held(self) -> Amounts:
        return total(self.holds.values())


class Ledger:
    """Belongs to one event loop."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._books: dict[UUID, _Book] = {}

    async def take(
        self,
        tree: UUID,
        caps: Caps,
        run_id: UUID,
        key: str,
        wanted: Amounts,
        *,
        unrecorded: Amounts = NOTHING,
        whose: str = "this tree of runs",
    ) -> Amounts:
        """Reserve, waiting as long as others hold what may be left; raises CapReached when a cap is used up.

        What was reserved under the same key before is replaced.
        """
        book = self._books.setdefault(tree, _Book())
        ask = Ask(run_id, key, caps, wanted, unrecorded, whose, asyncio.get_running_loop().create_future())
        book.asks.append(ask)
        book.asked.set()
        book.freed.set()
        self._wake(tree, book)
        return await ask.answer

    def hold(self, tree: UUID, run_id: UUID, key: str, amounts: Amounts, *, is_less: bool = True) -> None:
        """Hold so much under a key, of what was reserved; `is_less` if others find more then."""
        book = self._books.setdefault(tree, _Book())
        if amounts != NOTHING:
            book.holds[run_id, key] = amounts
        elif book.holds.pop((run_id, key), None) is None:
            is_less = False
        if is_less:
            self._is_freed(tree, book)

    def forget(self, tree: UUID, run_id: UUID) -> None:
        """Let go of all that a run holds: it has left this process."""
        if book := self._books.get(tree):
            book.holds = {name: held for name, held in book.holds.items() if name[0] != run_id}
            book.asks = [ask for ask in book.asks if ask.run_id != run_id]
            self._is_freed(tree, book)

    def _is_freed(self, tree: UUID, book: _Book) -> None:
        book.is_stale = True
        book.freed.set()
        self._wake(tree, book)

    def _wake(self, tree: UUID, book: _Book) -> None:
        if book.serving is None:
            book.serving = asyncio.get_running_loop().create_task(self._serve(tree, book))

    async def _serve(self, tree: UUID, book: _Book) -> None:
        """Exchange as long as somebody asks or something was let go of."""
        try:
            while book.asks or book.is_stale:
                if not book.asks:
                    # Who lets go of something mostly asks for more at once: then one exchange does for both.
                    await _wait(book.asked, AGAIN)
                book.asked.clear()
                book.freed.clear()
                await self._serve_once(tree, book)
                if book.asks and not book.asked.is_set():
                    await _wait(book.freed, AGAIN)
        finally:
            book.serving = None
            if not (book.holds or book.asks) and self._books.get(tree) is book:
                del self._books[tree]

    async def _serve_once(self, tree: UUID, book: _Book) -> None:
        # A list of its own: while this exchange is under way the next asks gather in the book's.
        asks = tuple(ask for ask in book.asks if not ask.answer.done())
        book.is_stale = False
        replaced = {(ask.run_id, ask.key) for ask in asks}
        mine = total(held for name, held in book.holds.items() if name not in replaced)
        answers: list[Amounts | str | None] = []

        def carry_out(spent_so_far: Amounts, others: Amounts) -> Amounts:
            answers[:] = decide(asks, spent_so_far, mine.plus(others))
            return mine.plus(total(answer for answer in answers if isinstance(answer, Amounts)))

        try:
            await self._exchange(tree, carry_out)
        except Exception as error:  # noqa: BLE001 (handed to all who wait for an answer)
            answers[:] = []
            for ask in asks:
                if not ask.answer.done():
                    ask.answer.set_exception(error)
        for ask, answer in zip(asks, answers, strict=bool(answers)):
            self._tell(book, ask, answer)
        book.asks = [ask for ask in book.asks if not ask.answer.done()]

    @staticmethod
    def _tell(book: _Book, ask: Ask, answer: Amounts | str | None) -> None:
        if ask.answer.done():
            # It asks no more: what was reserved for it is let go of.
            book.is_stale |= isinstance(answer, Amounts)
        elif isinstance(answer, Amounts):
            book.holds[ask.run_id, ask.key] = answer
            ask.answer.set_result(answer)
        elif answer is not None:
            ask.answer.set_exception(CapReached(answer))


def decide(asks: Sequence[Ask], spent_so_far: Amounts, held: Amounts) -> list[Amounts | str | None]:
    """Answer each ask: what it gets, or in words which cap is used up, or None to wait for what others hold.

    Something is given as long as less than a cap is spent and held, so that a tree takes more tokens and money than its
    caps by less than what the last one reserved; steps and sub-runs it never takes more.
    """
    answers: list[Amounts | str | None] = []
    for ask in asks:
        gone = spent_so_far.plus(ask.unrecorded)
        # How many sub-runs it will be is known: all of them must fit, not only the first.
        further = Amounts(children=max(0, ask.wanted.children - 1))
        if kind := spent(_wanted(ask), gone.plus(further)):
            answers.append(in_words(kind, ask.caps, gone, ask.whose))
        elif spent(_wanted(ask), gone.plus(held).plus(further)):
            answers.append(None)
        else:
            granted = _granted(ask, gone.plus(held))
            answers.append(granted)
            held = held.plus(granted)
    return answers


def _wanted(ask: Ask) -> Caps:
    """Give the caps that the ask has to do with."""
    caps, wanted = ask.caps, ask.wanted
    return Caps(
        steps=caps.steps if wanted.steps else None,
        children=caps.children if wanted.children else None,
        tokens=caps.tokens if wanted.tokens else None,
        microusd=caps.microusd if wanted.microusd else None,
    )


def _granted(ask: Ask, taken: Amounts) -> Amounts:
    if ask.caps.steps is None or not ask.wanted.steps:
        return ask.wanted
    return ask.wanted._replace(steps=max(1, min(ask.wanted.steps, (ask.caps.steps - taken.steps) // SHARE)))


def total(amounts: Iterable[Amounts]) -> Amounts:
    """Add up."""
    result = NOTHING
    for one in amounts:
        result = result.plus(one)
    return result


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
