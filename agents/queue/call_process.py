"""The process of one tool call: forked for it, bounded, and gone with it.

What it says to whoever sees to it are lines of JSON: that it has begun, how far it has come, and at last what came of
it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from socket import socket
from typing import NoReturn

import orjson
from django.db import connections
from uuid_utils.compat import uuid7

from agents.engine import call_outcomes
from agents.engine.artifacts import check_name
from agents.engine.canonical import JSON, clean_text
from agents.engine.errors import Permanent
from agents.engine.ports import CallInfo
from agents.engine.process_calls import StartedCall
from agents.engine.progress import Pace
from agents.engine.records import ArtifactRecord
from agents.queue import worker_process
from agents.queue.processes import die_with_parent, name_process

logger = logging.getLogger(__name__)

MEGABYTE = 1024 * 1024
ROOM = 48 * MEGABYTE
"""What the process itself may grow by beside its tool: the stacks of its threads, its connections."""
FIRST_TO_GO = 900
"""The kernel's mark for whom to kill first when the machine has no memory left: this process, not its neighbours."""


def be_process_of(call: StartedCall, pipe: socket) -> NoReturn:
    """Execute the call, say on the pipe what came of it, and end."""
    try:
        _settle_in(call)
        Process(call, pipe).run()
        connections.close_all()
    except BaseException:
        logger.exception("the process of %s failed", call.tool)
        os._exit(1)
    os._exit(0)


def _settle_in(call: StartedCall) -> None:
    """Be a process apart, bounded and easy to end."""
    # With whatever it starts, it is ended as one group; and a signal to the worker's group is none to it.
    os.setsid()
    die_with_parent()
    name_process(f"tool:{call.tool}")
    for caught in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(caught, signal.SIG_DFL)
    try:
        Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO))
    except OSError as error:
        logger.warning("the kernel is not told whom to kill first: %s", error)
    bound = _data_bytes() + call.memory * MEGABYTE + ROOM
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        bound = min(bound, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _data_bytes() -> int:
    """Give the memory that this process may write to and shares with nobody, as the kernel counts it for the limit."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")


class Process:
    """Calls the tool as a worker would, and says what comes of it."""

    def __init__(self, call: StartedCall, pipe: socket) -> None:
        self._call = call
        self._pipe = pipe
        self._lock = threading.Lock()
        self._pace = Pace()
        self._artifact: ArtifactRecord | None = None
        self._began = time.monotonic()
        # Made now: later there may be no memory for it.
        self._out_of_memory = _line({"told": call_outcomes.out_of_memory(call.memory)})

    def run(self) -> None:
        """Execute the call. Asked to stop it lets the tool unwind, and says nothing."""
        try:
            self._write(_line({"told": asyncio.run(self._call_tool())}))
        except asyncio.CancelledError:
            return
        except MemoryError as error:
            error.__traceback__ = None  # What it holds is what took the memory.
            self._write(self._out_of_memory)

    async def _call_tool(self) -> JSON:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (a coroutine runs in a task)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        ports = worker_process.make_ports()
        self._store = ports.artifacts.write
        try:
            result = await ports.tools.call(self._call.tool, self._call.arguments, self._info())
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever the tool raises is what came of it)
            return call_outcomes.of_error(error)
        return call_outcomes.of_result(result, self._artifact)

    def _info(self) -> CallInfo:
        call = self._call
        return CallInfo(
            workspace_id=call.workspace_id,
            run_id=call.run_id,
            step_key=call.key,
            attempt=call.attempt,
            idempotency_key=f"{call.run_id}:{call.key}",
            now=self._now,
            worker_id=call.worker_id,
            is_approved=call.is_approved,
            begin=self._begin,
            wait_until=self._wait_until,
            keep=self._keep,
            progress=self._progress,
        )

    def _now(self) -> datetime:
        return self._call.started_at + timedelta(seconds=time.monotonic() - self._began)

    async def _begin(self) -> float:
        self._write(_line({"begun": True}))
        return asyncio.get_running_loop().time() + self._call.timeout

    async def _wait_until(self, due: datetime, what: str) -> None:
        """Wait here: the run is parked already, and holds no slot."""
        await asyncio.sleep(max(0.0, (due - self._now()).total_seconds()))

    async def _keep(self, name: str, content: bytes, media_type: str) -> JSON:
        check_name(name)
        if self._artifact is not None:
            raise Permanent("A step keeps one file.", "NoArtifact")
        call = self._call
        address = await asyncio.to_thread(self._store, call.workspace_id, content)
        kind = clean_text(media_type)[:100]
        self._artifact = ArtifactRecord(uuid7(), call.key, name, kind, len(content), address, self._now())
        return {"id": self._artifact.id, "name": name, "size": len(content)}

    def _progress(self, text: str, done: float | None) -> None:
        if self._pace.is_time():
            self._write(_line({"progress": [clean_text(text), done]}))

    def _write(self, line: bytes) -> None:
        with self._lock:
            self._pipe.sendall(line)


def _line(word: JSON) -> bytes:
    return orjson.dumps(word) + b"\n"
