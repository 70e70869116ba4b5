"""What each worker does beside its runs: firing schedules, looking where watchers look, taking files in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import structlog
from django.conf import settings
from django.db import connection

from agents.engine.beside import Round, SideLoop, Worker, in_rounds
from agents.engine.connecting import bound_statements
from agents.engine.journal.store import Unavailable
from agents.engine.outages import outages
from agents.engine.worker_threads import until_available, with_django
from agents.services.firing import fire_due
from agents.services.inbox_folder import InboxFolder
from agents.services.watching import LOOK_SECONDS, Task, give_back, keep_failure, keep_look, take_due
from agents.triggers.looks.base import BadTarget, Look, Surroundings
from agents.triggers.looks.looking import look
from tools.errors import ToolRetry, ToolsError
from tools.http import outbound

T = TypeVar("T")

PART: Final = "watchers"
LOOKS_AT_ONCE = 20
LONGEST_REST = 1.0
"""Seconds after which it is looked what is due: nobody has to be told, but who is told is sooner."""
GAP = 0.1
"""Seconds between two looks at what is due, however much news there is."""
INBOX_SECONDS = 2.0
"""Between two looks into the inbox folder: a file that is the same at both has come to rest."""

log = structlog.get_logger(__name__)


def duties() -> dict[str, SideLoop]:
    """Give the loops by name."""
    inbox = {"inbox": in_rounds(take_in(InboxFolder()), every=INBOX_SECONDS, gap=INBOX_SECONDS)}
    return {
        "schedules": in_rounds(fire, every=LONGEST_REST, gap=GAP),
        PART: look_around,
        **(inbox if settings.INBOX_FOLDER else {}),
    }


def fire() -> Round:
    """Fire the schedules that are due."""
    # Their events start runs when they are dispatched, which is told by the database itself.
    return Round(next_due=fire_due().next_in)


def take_in(inbox: InboxFolder) -> Callable[[], Round]:
    """Give the work that looks into the inbox folder."""

    def work() -> Round:
        inbox.look()
        return Round()

    return work


async def look_around(worker: Worker) -> None:
    """Look where it is time to, until cancelled; what is under way then is given back."""
    observer = Observer(worker.patience)
    try:
        await observer.run(worker)
    finally:
        await observer.aclose()


class Observer:
    """Looks at several places at once. Belongs to the event loop in which it runs."""

    def __init__(self, patience: float) -> None:
        """Let a statement fail after so many seconds."""
        self._database = ThreadPoolExecutor(1, PART, initializer=bound_statements, initargs=(patience,))
        self._looks: dict[asyncio.Task[None], Task] = {}

    async def run(self, worker: Worker) -> None:
        """Take and look until cancelled."""
        while True:
            rest = LONGEST_REST
            if not worker.is_draining():
                try:
                    rest = await self._take()
                    outages.worked(PART)
                except Unavailable as error:
                    outages.failed(PART, error.outage, error)
            await asyncio.sleep(GAP)
            await worker.wait_for_news(rest - GAP)

    async def look(self, task: Task) -> None:
        """Look once, and keep what came of it."""
        found = await _look(task)
        await until_available(PART, lambda: self._once(_keep, task, found))

    async def aclose(self) -> None:
        """Drop what is under way, and let others have it."""
        left = dict(self._looks)
        for looking in left:
            looking.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        with suppress(Unavailable):
            for task in left.values():
                await self._once(give_back, task)
        self._database.submit(lambda: connection.close())  # the thread's own, not the one of this thread
        self._database.shutdown(wait=False)

    async def _take(self) -> float:
        """Begin looks as far as there is room; give the seconds until the next is due."""
        room = LOOKS_AT_ONCE - len(self._looks)
        taken, next_in = await self._once(take_due, room)
        for task in taken:
            looking = asyncio.create_task(self.look(task))
            self._looks[looking] = task
            looking.add_done_callback(self._ended)
        return LONGEST_REST if next_in is None or room <= len(taken) else min(LONGEST_REST, next_in)

    def _ended(self, looking: asyncio.Task[None]) -> None:
        task = self._looks.pop(looking)
        if not looking.cancelled() and (error := looking.exception()):
            # Its lease ends by itself, and it is looked at again.
            log.error("look_not_kept", watcher=str(task.watcher_id), exc_info=error)

    async def _once(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._database, with_django, function, *args)


def _keep(task: Task, found: Look | tuple[str, float | None]) -> None:
    if isinstance(found, Look):
        keep_look(task, found)
    else:
        reason, retry_after = found
        keep_failure(task, reason, retry_after=retry_after)


async def _look(task: Task) -> Look | tuple[str, float | None]:
    """Look once; gives why it failed, and when the other side wants to be asked again, if it does."""
    around = Surroundings(outbound(), task.workspace_id, lambda: datetime.now(UTC))
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await look(task.kind, task.target, task.state, around)
    except ToolRetry as error:
        return str(error), error.retry_after
    except (ToolsError, BadTarget) as error:
        return str(error), None
    except TimeoutError:
        return f"It took longer than {LOOK_SECONDS:g} s.", None
    except Exception as error:
        # One that nobody has thought of: the other watchers go on, and this one says that it is our mistake.
        log.exception("look_broken", watcher=str(task.watcher_id), kind=task.kind)
        return f"The look itself failed ({type(error).__name__}); the operator's log says more.", None
