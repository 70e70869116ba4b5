"""A process that calls through limits and says when each call began: `python -m tests.limit_caller '{"calls": 10, …}'`.

It stands for a worker process without runs: a wait that would park a run is slept through, and the call comes back.
`at` is when to begin, on the machine's monotonic clock; `holds` is for how many seconds a call goes on.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from uuid import UUID, uuid4

import django


@dataclass
class SleepingCaller:
    """A call of a run that never parks."""

    workspace_id: int
    worker_id: int
    run_id: UUID
    step_key: str = "tool:x#0"
    is_resumed: bool = False
    waits: int = 0

    async def wait_until(self, due: datetime, what: str) -> None:
        self.waits += 1
        await asyncio.sleep((due - datetime.now(UTC)).total_seconds())


async def call_all(options: dict[str, Any], worker_id: int) -> dict[str, Any]:
    """Make all calls at once; give when each began and ended, and what the database was asked meanwhile."""
    limiter = import_module("tools.limits.limiter").limiter()
    starts: list[float] = []
    ends: list[float] = []
    waits = 0

    async def call() -> None:
        nonlocal waits
        caller = SleepingCaller(options["workspace"], worker_id, uuid4())
        admission = await limiter.admit([options["key"]], caller)
        starts.append(time.monotonic())
        await asyncio.sleep(options.get("holds", 0.0))
        ends.append(time.monotonic())
        admission.release()
        waits += caller.waits

    await limiter.look()
    before = limiter.desk.statements
    await asyncio.sleep(max(0.0, options.get("at", 0.0) - time.monotonic()))
    began = time.monotonic()
    await asyncio.gather(*(call() for _ in range(options["calls"])))
    return {
        "starts": starts,
        "ends": ends,
        "waits": waits,
        "statements": limiter.desk.statements - before,
        "seconds": time.monotonic() - began,
    }


def main(options: dict[str, Any]) -> None:
    django.setup()
    worker = import_module("agents.engine.leases").register_worker(queue="runs", slots=1, lease=30.0)
    sys.stdout.write(json.dumps(asyncio.run(call_all(options, worker.pk))))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
