"""The loops that a worker keeps going beside its runs."""

from __future__ import annotations

import asyncio
import logging

import pytest
from django.db import OperationalError

from agents.engine import beside
from agents.engine.beside import Worker, keep_going
from agents.engine.outages import OutageLog

pytestmark = pytest.mark.anyio

WORKER = Worker(lambda: 7, lambda: False)


async def test_one_that_fails_or_ends_is_begun_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(beside, "FIRST_PAUSE", 0.001)
    # That of the process says nothing twice within a minute, whichever test was the first.
    monkeypatch.setattr(beside, "outages", OutageLog())
    begun = []
    goes_on = asyncio.Event()

    async def loop(worker: Worker) -> None:
        begun.append(worker.worker_id())
        if len(begun) == 1:
            raise RuntimeError("a fault of its own")
        if len(begun) == 2:
            raise OperationalError("the database is away")
        if len(begun) == 4:
            goes_on.set()
            await asyncio.Event().wait()

    with caplog.at_level(logging.WARNING):
        task = asyncio.create_task(keep_going(loop, WORKER, "letters"))
        await asyncio.wait_for(goes_on.wait(), 10)
    assert begun == [7] * 4
    said = [record.getMessage() for record in caplog.records]
    assert any("letters" in text and "failed" in text for text in said)
    assert any("can't be reached" in text for text in said)
    assert any("ended by itself" in text for text in said)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_waits_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 7:
            raise asyncio.CancelledError

    async def loop(worker: Worker) -> None:
        raise RuntimeError("always")

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await keep_going(loop, WORKER, "letters")
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
