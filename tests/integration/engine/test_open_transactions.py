"""While a model, a tool or any other step is at work, nobody holds a transaction open for it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from agents.engine import Context, workflow
from agents.engine.messages import Reply, user
from agents.engine.ports import CallInfo
from agents.testing import ScriptedModel, ScriptedTools
from tests.driving import RunningDriver, as_rival, until

SECONDS = 2.0


def is_free() -> bool:
    """Whether there is a moment in which no session has a transaction open: one that spans a step would outlast this.

    Asked on a connection of its own. The journal's transactions come and go meanwhile.
    """
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        if nobody_writes() if connection.vendor == "sqlite" else nobody_is_in_a_transaction():
            return True
        time.sleep(0.01)
    return False


def nobody_writes() -> bool:
    with closing(sqlite3.connect(str(connection.settings_dict["NAME"]), timeout=0.0, isolation_level=None)) as file:
        try:
            file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        file.execute("ROLLBACK")
        return True


def nobody_is_in_a_transaction() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
        )
        return bool(cursor.fetchone()[0] == 0)


def look() -> bool:
    """Look, as plain code that a step runs in a thread."""
    try:
        return is_free()
    finally:
        connection.close()


async def look_async(*_: Any) -> bool:
    return await asyncio.to_thread(look)


def test_the_look_sees_a_transaction_that_spans_it(database: None) -> None:
    is_open, is_seen = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE agents_worker SET busy = 0")
            is_open.set()
            is_seen.wait(30.0)

    holder = threading.Thread(target=lambda: as_rival(hold))
    holder.start()
    assert is_open.wait(10.0)
    assert not as_rival(is_free)
    is_seen.set()
    holder.join()
    assert as_rival(is_free)


@pytest.mark.fault(19)
def test_none_is_open_while_steps_are_at_work(
    driver: RunningDriver, queue: Callable[..., UUID], model: ScriptedModel, tools: ScriptedTools
) -> None:
    async def respond(request: Any, stream: Callable[[str], None]) -> Reply:
        stream("so far")
        return Reply("assistant", str(await look_async()))

    async def inspect(arguments: Any, info: CallInfo) -> str:
        return str(await look_async())

    model.respond = respond  # type: ignore[method-assign]
    tools.functions["inspect"] = inspect

    @workflow("inspected")
    async def inspected(ctx: Context, input: Any) -> Any:
        found = [await ctx.step("async", look_async), await ctx.step("thread", look)]
        reply = await ctx.think([user("Is anything open?")], model="scripted")
        found += [reply.text == "True", (await ctx.tool("inspect")).text == "True"]
        # One whose intent is written first, and several at once beside the writing of others' outcomes.
        found.append(await ctx.step("unsafe", look, effect="unsafe"))
        found += await ctx.gather(*(ctx.step("branch", look if n % 2 else look_async) for n in range(4)))
        return found

    run = until(queue("inspected"), seconds=40.0)
    assert (run.status, run.output) == ("succeeded", [True] * 9), run.error
