"""What each worker process does beside its runs: firing schedules, looking where watchers look, taking files in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog
from django.conf import settings

from agents.queue.background import Desk, Duty
from agents.services.firing import fire_due
from agents.services.inbox_folder import InboxFolder
from agents.services.watching import LOOK_SECONDS, Task, give_back, keep_failure, keep_look, take_due
from agents.triggers.looks.base import BadTarget, Surroundings
from agents.triggers.looks.looking import look
from tools.errors import ToolRetry, ToolsError
from tools.http import outbound

LONGEST_REST = 1.0
"""Seconds after which a duty looks by itself: nobody has to be told, but who is told is sooner."""
LOOKS_AT_ONCE = 20
INBOX_SECONDS = 2.0
"""Between two looks into the inbox folder: a file that is the same at both has come to rest."""

log = structlog.get_logger(__name__)


async def fire_schedules(desk: Desk) -> None:
    """Fire what is due, and rest until the next one is."""
    while True:
        fired = await desk.call(fire_due)
        await desk.rest(_rest(fired.next_in))


async def look_around(desk: Desk) -> None:
    """Look where it is time to, at several places at once."""
    looks: dict[asyncio.Task[None], Task] = {}
    try:
        while True:
            taken, next_in = await desk.call(take_due, LOOKS_AT_ONCE - len(looks))
            for task in taken:
                looking = asyncio.create_task(carry_out(desk, task))
                looks[looking] = task
                looking.add_done_callback(lambda done: looks.pop(done, None))
            await desk.rest(_rest(next_in) if len(looks) < LOOKS_AT_ONCE else LONGEST_REST)
    finally:
        left = dict(looks)
        for looking in left:
            looking.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await outbound().aclose()
        for task in left.values():
            await desk.call(give_back, task)


async def carry_out(desk: Desk, task: Task) -> None:
    """Look once, and keep what came of it."""
    around = Surroundings(outbound(), task.workspace_id, lambda: datetime.now(UTC))
    reason, retry_after = "", None
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            found = await look(task.kind, task.target, task.state, around)
    except ToolRetry as error:
        reason, retry_after = str(error), error.retry_after
    except (ToolsError, BadTarget) as error:
        reason = str(error)
    except TimeoutError:
        reason = f"It took longer than {LOOK_SECONDS:g} s."
    except Exception as error:
        # One that nobody has thought of: the other watchers go on, and this one says that it is our mistake.
        log.exception("look_broken", watcher=str(task.watcher_id), kind=task.kind)
        reason = f"The look itself failed ({type(error).__name__}); the operator's log says more."
    if reason:
        await desk.call(lambda: keep_failure(task, reason, retry_after=retry_after))
    else:
        await desk.call(keep_look, task, found)


async def take_in(desk: Desk) -> None:
    """Take in what is put into the inbox folder."""
    inbox = InboxFolder()
    while True:
        await desk.call(inbox.look)
        await asyncio.sleep(INBOX_SECONDS)


def duties() -> dict[str, Duty]:
    """Give the duties by name."""
    inbox: dict[str, Duty] = {"inbox": take_in} if settings.INBOX_FOLDER else {}
    return {"schedules": fire_schedules, "watchers": look_around, **inbox}


def _rest(next_in: float | None) -> float:
    return LONGEST_REST if next_in is None else min(LONGEST_REST, next_in)
