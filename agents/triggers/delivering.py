"""Sends what is in the outbox: a loop that each worker keeps going beside its runs, with many attempts at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db import connection

from agents.engine.beside import Worker
from agents.engine.database_clock import database_now
from agents.engine.journal.store import Unavailable
from agents.engine.outages import outages
from agents.engine.worker_threads import until_available, with_django
from agents.models.webhook import KEPT
from agents.triggers.outbox import Claimed, claim_due, forget, listeners, record_attempt
from agents.triggers.retrying import Answer
from agents.triggers.signatures import STANDARD, Scheme, sign
from tools.errors import ToolsError
from tools.http import outbound
from tools.redaction import everywhere
from tools.responses import Response

logger = logging.getLogger(__name__)

T = TypeVar("T")

PART: Final = "webhooks"
AT_ONCE: Final = 100
"""Attempts that a worker makes at the same time."""
TIMEOUT: Final = 15.0
"""Seconds for an attempt, from the look-up of the name to the end of the answer."""
POLL: Final = 1.0
FORGET_EVERY: Final = 600.0
_SCHEME: Final = Scheme(kind=STANDARD)


async def deliver_forever(worker: Worker) -> None:
    """Send what is due until cancelled; what is under way then is somebody else's once its claim is over."""
    deliverer = Deliverer()
    try:
        await deliverer.run(worker.is_draining)
    finally:
        await deliverer.aclose()


class Deliverer:
    """Belongs to the event loop in which it runs."""

    def __init__(self) -> None:
        self._database = ThreadPoolExecutor(1, "webhooks")
        self._busy: Counter[UUID] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._soon = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._forget_at = 0.0
        listeners.add(self)

    def poke(self) -> None:
        """Look at once; from any thread."""
        with contextlib.suppress(RuntimeError):  # The loop has been closed.
            self._loop.call_soon_threadsafe(self._soon.set)

    async def run(self, is_draining: Callable[[], bool] = lambda: False) -> None:
        """Claim and send until cancelled."""
        while True:
            self._soon.clear()
            try:
                has_more = not is_draining() and await self.send_due()
                await self._forget()
                outages.worked(PART)
            except Unavailable as error:
                outages.failed(PART, error.outage, error)
                has_more = False
            if not has_more:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await self._soon.wait()

    async def send_due(self) -> bool:
        """Begin attempts at what is due, as far as there is room; tell whether anything was."""
        room = AT_ONCE - len(self._tasks)
        if room <= 0:
            return False
        claimed = await self._once(_claim, dict(self._busy), room)
        for each in claimed:
            self._busy[each.endpoint_id] += 1
            task = asyncio.create_task(self._attempt(each))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return bool(claimed)

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def aclose(self) -> None:
        """Drop what is under way."""
        listeners.discard(self)
        for task in self._tasks:
            task.cancel()
        self._database.submit(lambda: connection.close())  # the thread's own, not the one of this thread
        self._database.shutdown(wait=False)

    async def _attempt(self, claimed: Claimed) -> None:
        try:
            began, clock = datetime.now(UTC), time.monotonic()
            answer, text = await send(claimed)
            seconds = round(time.monotonic() - clock, 3)
            record = partial(_record, claimed, answer, text=text, began=began, seconds=seconds)
            await until_available(PART, lambda: self._once(record))
        except Exception:
            # Its claim ends by itself, and it is tried again.
            logger.exception("the attempt at the delivery %s failed", claimed.id)
        finally:
            self._busy[claimed.endpoint_id] -= 1
            self._busy += Counter()  # Without those that are at zero.
            self._soon.set()

    async def _forget(self) -> None:
        if time.monotonic() > self._forget_at:
            self._forget_at = time.monotonic() + FORGET_EVERY
            await self._once(lambda: forget(now=database_now()))

    async def _once(self, function: Callable[..., T], *args: Any) -> T:
        return await self._loop.run_in_executor(self._database, partial(with_django, function, *args))


async def send(claimed: Claimed) -> tuple[Answer, str]:
    """Make one attempt; give what came of it, and the beginning of the answer's body."""
    if claimed.problem:
        return Answer(error=claimed.problem), ""
    headers = {"content-type": "application/json", **signature_headers(claimed, datetime.now(UTC))}
    try:
        response = await outbound().request(
            "POST",
            claimed.url,
            headers=headers,
            content=claimed.body,
            timeout=TIMEOUT,
            max_bytes=KEPT,
            follow=False,
            cut=True,
        )
    except ToolsError as error:
        return Answer(error=str(error)), ""
    return Answer(response.status, retry_after=response.retry_after(datetime.now(UTC))), _text_of(response)


def signature_headers(claimed: Claimed, now: datetime) -> dict[str, str]:
    """Give the headers of Standard Webhooks; during a rotation with a signature by either key."""
    signed = [sign(_SCHEME, secret, claimed.body, id=claimed.message_id, now=now) for secret in claimed.secrets]
    return {**signed[0], "webhook-signature": " ".join(headers["webhook-signature"] for headers in signed)}


def _text_of(response: Response) -> str:
    return everywhere.text(response.text().replace("\x00", "�"))[:KEPT]


def _claim(busy: dict[UUID, int], room: int) -> list[Claimed]:
    return claim_due(busy, room, now=database_now())


def _record(claimed: Claimed, answer: Answer, *, text: str, began: datetime, seconds: float) -> None:
    chance = random.random()  # noqa: S311 (spreads retries; nothing secret hangs on it)
    record_attempt(claimed, answer, text=text, began=began, seconds=seconds, now=database_now(), chance=chance)
