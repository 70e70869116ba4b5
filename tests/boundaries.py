"""Workflows that stop at the boundaries of their steps, for tests that kill their worker just there.

The input's `stops` name the boundaries, each as [step, where]. Whoever is the first to come there says so in a file
beside the outside log, with its process id, and waits to be killed; whoever comes later goes on.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from agents.engine import Context, workflow
from agents.engine.journal import postgres, sqlite
from agents.engine.journal.store import BatchWriter
from agents.engine.records import Batch, BatchResult, Change, Finish
from tests.workflows import witness

IN_THE_WORKFLOW = ("before", "begun", "done")
"""Before the step; when it has begun; when its effect is there and its outcome is not."""
IN_THE_JOURNAL = ("writing", "written")
"""With the outcome in a transaction that is not committed yet; when it is committed and nobody knows."""
END = "end"
"""Stands for a step: the run's own end, which is written like an outcome."""
FOR_EVER = 3600.0

Stops = Sequence[Sequence[str]]

_stops: dict[str, Stops] = {}
"""What the journal's thread looks for; a run enters it before its first step."""


def must_stop(run: str, stops: Stops, step: str, where: str) -> bool:
    """Tell whether to stop here; if so, say that the boundary is reached."""
    if [step, where] not in [list(stop) for stop in stops]:
        return False
    boundary = f"{run} {step} {where}\n"
    with open(f"{os.environ['EFFECTS']}.stopped", "a+") as file:
        file.seek(0)
        if boundary in file.read():
            return False
        file.write(f"{os.getpid()} {boundary}")
    return True


async def stop(run: str, stops: Stops, step: str, where: str) -> None:
    if must_stop(run, stops, step, where):
        await asyncio.sleep(FOR_EVER)


async def act(run: str, step: str, stops: Stops) -> None:
    """Have an effect between two boundaries."""
    await stop(run, stops, step, "begun")
    witness(run, step)
    await stop(run, stops, step, "done")


@workflow("boundaries")
async def boundaries(ctx: Context, input: Any) -> Any:
    """Three steps, one after the other."""
    run, stops = str(ctx.run_id), input["stops"]
    _stops[run] = stops
    for n in range(3):
        step = f"link#{n}"
        await stop(run, stops, step, "before")
        await ctx.step("link", act, run, step, stops, effect=input.get("effect", "idempotent"))


async def act_slowly(run: str, step: str) -> int:
    """Take a while, leave a line that names the process, and give its id."""
    await asyncio.sleep(0.3)
    witness(run, f"{step}:{os.getpid()}")
    return os.getpid()


@workflow("signed")
async def signed(ctx: Context, input: Any) -> Any:
    """Steps of which each says in which process it was done."""
    run = str(ctx.run_id)
    return [await ctx.step("link", act_slowly, run, f"link#{n}") for n in range(input["steps"])]


def stop_in_the_journal() -> None:
    """Let the journal's thread stop with outcomes in its hands, just before and just after their commit."""
    write = BatchWriter.write
    in_hand: list[tuple[str, str]] = []

    def halt(where: str) -> None:
        for run, step in in_hand:
            if must_stop(run, _stops[run], step, where):
                time.sleep(FOR_EVER)

    def stopping_write(self: BatchWriter, worker_id: int, batch: Batch, now: datetime) -> BatchResult:
        in_hand[:] = [(run, step) for change in batch.changes for run, step in outcomes(change) if run in _stops]
        result = write(self, worker_id, batch, now)
        halt("written")
        return result

    def stopping(announce: Any) -> Any:
        def stopping_announce(self: BatchWriter, *, live: bool, queue: bool) -> None:
            announce(self, live=live, queue=queue)
            halt("writing")

        return stopping_announce

    BatchWriter.write = stopping_write  # type: ignore[method-assign]
    for store in (sqlite.SqliteStore, postgres.PostgresStore):
        # The last thing that is done before a batch is committed.
        store.announce = stopping(store.announce)  # type: ignore[method-assign]


def outcomes(change: Change) -> list[tuple[str, str]]:
    run = str(change.run_id)
    steps = [(run, record.key) for record in change.steps.values() if record.status == "succeeded"]
    return [*steps, (run, END)] if isinstance(change.ending, Finish) else steps


stop_in_the_journal()
