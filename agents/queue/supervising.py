"""Seeing to the process of one tool call, from its start until its run has been told what came of it.

A worker process of the cluster `tools` forks one child for each call and watches it from its main thread: its time, its
words, whether anybody still waits for it. It keeps no database connection across the fork and has no threads.
While it is at it, it is a worker with a lease like those that drive runs: if it falls silent, others tell the run.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connections

from agents.engine import call_outcomes, leases, process_calls
from agents.engine.canonical import JSON
from agents.engine.connecting import bounded_statements
from agents.engine.outages import DATABASE_ERRORS, Outage, outage_of, outages
from agents.engine.process_calls import StartedCall
from agents.models import Worker
from agents.queue import worker_process
from agents.queue.call_process import be_process_of
from agents.queue.channel import Channel
from agents.queue.insisting import FIRST_PAUSE, LONGEST_PAUSE
from agents.queue.messages import LONGEST_WAIT
from tools.limits.store import drop_permits

logger = logging.getLogger(__name__)

QUEUE = "tools"
TICK = 0.5
LOOK_EVERY = 1.0
"""How often it is asked whether anybody still waits for the call."""
KILL_MARGIN = 1.0
"""Seconds beyond a call's time in which it may still say by itself that it was not done."""
UNWIND = 2.0
"""Seconds that a process which is asked to stop may take to put things in order."""
LAST_TRIES = 5.0
"""Seconds for which a worker that stops goes on trying to tell what came of a call."""

T = TypeVar("T")
_worker: Worker | None = None


def carry_out(token: UUID) -> None:
    """Execute the call of this token, unless another worker has it or nobody waits for it."""
    # A worker that hangs must not keep the locks of runs for longer than others take it for alive.
    with bounded_statements(settings.LEASE_SECONDS / 2):
        _carry_out(token)


def _carry_out(token: UUID) -> None:
    worker = _insist(_own_worker)
    try:
        call = _insist(lambda: process_calls.start(token, worker))
        if call is None:
            # Perhaps it was here before, with a worker that has died over it.
            _insist(lambda: process_calls.lose_if_gone(token))
            return
        told = Supervision(call).run()
        if told is not None and not _insist(lambda: process_calls.finish(token, call.worker_id, told)):
            logger.warning("what came of %s is not heard: its run does not wait for it any more", call.tool)
    finally:
        with suppress(*DATABASE_ERRORS):
            leases.stop_worker(worker.pk)


def _own_worker() -> Worker:
    """Enter this process among the workers; between two calls it rests, so that an idle one writes nothing."""
    global _worker
    if _worker is None or not leases.wake_worker(_worker.pk):
        figures = worker_process.worker_settings()
        _worker = leases.register_worker(queue=QUEUE, slots=1, lease=figures.lease, host=figures.host)
    else:
        # Its last process had no time to give them back.
        drop_permits(_worker.pk)
    return _worker


def _insist(call: Callable[[], T]) -> T:
    """Call until the database answers. A worker that stops gives up soon: its task is handed out again."""
    pause, ends = FIRST_PAUSE, 0.0
    while True:
        try:
            answer = call()
        except DATABASE_ERRORS as error:
            connections["default"].close()
            if (outage := outage_of(error)) is None:
                raise
            outages.failed("process calls", outage, error)
        else:
            outages.worked("process calls")
            return answer
        now = time.monotonic()
        if Channel.stopping:
            ends = ends or now + LAST_TRIES
            if now > ends:
                raise SystemExit(0)
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


class Child:
    """The forked process, as its parent sees it."""

    def __init__(self, call: StartedCall) -> None:
        # Neither may use the other's connections.
        connections.close_all()
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            be_process_of(call, theirs)
        theirs.close()
        ours.setblocking(False)
        self._pipe = ours
        self._exit = os.pidfd_open(self.pid)
        self._rest = b""
        self._watched: list[socket.socket | int] = [ours, self._exit]
        self.has_ended = False

    def wait(self, seconds: float) -> None:
        """Wait until it says something or ends, for so long."""
        ready, _, _ = select.select(self._watched, [], [], seconds)
        self.has_ended = self._exit in ready

    def words(self) -> Iterator[JSON]:
        """Give what it has said since it was asked last."""
        with suppress(BlockingIOError, ConnectionResetError):
            while data := self._pipe.recv(65_536):
                self._rest += data
            # It has closed its end: there will be no more words.
            self._watched = [self._exit]
        *lines, self._rest = self._rest.split(b"\n")
        return map(orjson.loads, lines)

    def send(self, signum: signal.Signals) -> None:
        """Send a signal to it and to all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signum)
        with suppress(ProcessLookupError):
            os.kill(self.pid, signum)

    def bury(self) -> str:
        """End what is left of it; say how it ended."""
        self.send(signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        self._pipe.close()
        os.close(self._exit)
        if not os.WIFSIGNALED(status):
            return f"exit code {os.WEXITSTATUS(status)}"
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"


class Supervision:
    """Watches one call to its end."""

    def __init__(self, call: StartedCall) -> None:
        self._call = call
        self._child = Child(call)
        now = time.monotonic()
        self._has_begun = False
        self._ends = now + LONGEST_WAIT
        self._look_at = now
        self._beat_at = now + settings.HEARTBEAT_SECONDS
        self._grace_ends = 0.0
        self._told: JSON = None
        self._verdict: JSON = None
        self._is_given_up = False
        self._kill_at: float | None = None

    def run(self) -> JSON:
        """Give what is to be told to the run; None if it is not waited for any more."""
        how = "killed"
        try:
            while not self._child.has_ended:
                self._child.wait(TICK)
                self._listen()
                if not self._child.has_ended:
                    self._look_after(time.monotonic())
        finally:
            how = self._child.bury()
        if self._is_given_up:
            return None
        return self._told or self._verdict or self._death(how)

    def _listen(self) -> None:
        for word in self._child.words():
            match word:
                case {"told": told}:
                    self._told = told
                case {"begun": True}:
                    self._has_begun = True
                    self._ends = time.monotonic() + self._call.timeout + KILL_MARGIN
                case {"progress": [text, done]}:
                    self._pass_on(text, done)

    def _look_after(self, now: float) -> None:
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._child.send(signal.SIGKILL)
        elif now >= self._ends:
            self._end(self._too_late(), unwind=0.0)
        elif self._is_grace_over(now):
            self._end(call_outcomes.interrupted("Its worker was stopped."))
        elif now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            if not self._is_waited_for(now):
                self._is_given_up = True
                self._end(None)

    def _too_late(self) -> JSON:
        if not self._has_begun:
            return call_outcomes.interrupted(f"It waited for its limits for {LONGEST_WAIT} s.")
        return call_outcomes.timed_out(f"not done within {self._call.timeout:g} s, and killed")

    def _is_grace_over(self, now: float) -> bool:
        if not Channel.stopping:
            return False
        self._grace_ends = self._grace_ends or now + settings.GRACE_SECONDS
        return now >= self._grace_ends

    def _end(self, verdict: JSON, *, unwind: float = UNWIND) -> None:
        """End the process, which may take so many seconds to put things in order; and say this of it."""
        self._verdict = verdict
        self._kill_at = time.monotonic() + unwind
        self._child.send(signal.SIGTERM if unwind else signal.SIGKILL)

    def _is_waited_for(self, now: float) -> bool:
        """Whether the call is still ours to execute; as long as the database is away, it is."""
        try:
            if now >= self._beat_at:
                self._beat_at = now + settings.HEARTBEAT_SECONDS
                if not leases.heartbeat(self._call.worker_id, busy=1):
                    logger.error("this worker was declared dead; it gives %s up", self._call.tool)
                    return False
            is_open = process_calls.is_open(self._call.token)
        except DATABASE_ERRORS as error:
            self._note_outage(error)
            return True
        outages.worked("process calls")
        return is_open

    def _pass_on(self, text: str, done: float | None) -> None:
        try:
            process_calls.tell_progress(self._call, text, done)
        except DATABASE_ERRORS as error:
            # The next word is as good.
            self._note_outage(error)

    @staticmethod
    def _note_outage(error: Exception) -> None:
        connections["default"].close()
        outages.failed("process calls", outage_of(error) or Outage.BUSY, error)

    def _death(self, how: str) -> JSON:
        return call_outcomes.died("ProcessDied", f"Its process ended before it had an answer: {how}.")
