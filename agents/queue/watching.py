"""The watch over one worker process: does it live, does its event loop turn, is its task in time?"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from agents.engine.leases import host_id, process_start
from agents.engine.marks import MarksFile
from agents.queue.pulse import Stillness, TaskTimer
from agents.queue.worker_process import DUMP_SIGNAL

logger = logging.getLogger(__name__)

START_SECONDS = 60.0


class WorkerWatch:
    """Looks at a worker process once in each cycle of the sentinel, and kills it when it is stuck."""

    def __init__(self, process: Any, *, cycle: float, watchdog: float, folder: Path | None) -> None:
        """Take the process as django-q2 made it; with a `folder` of marks it has an event loop to be watched."""
        self.process = process
        self.timer: TaskTimer = process.timer
        self.marks: MarksFile | None = None
        start = process_start(process.pid)
        if folder is not None and start is not None:
            self.marks = MarksFile(folder, host_id(), process.pid, start)
        self._cycle = cycle
        self._watchdog = watchdog
        self._turns = Stillness(self._count_turns)
        self._task = Stillness(lambda: self.timer.changes)
        self._still = 0
        self._is_dumped = False
        self.has_turned = False

    def look(self) -> bool:
        """Tell whether the process lives; kills it if it is stuck, which the next look will find."""
        if not self.process.is_alive():
            if self.marks is not None:
                self.marks.note_exit(self.process.exitcode)
            return False
        if self._task.look() * self._cycle > self.timer.value > 0:
            logger.critical("worker process %s does not end its task in time: it is killed", self.process.pid)
            self.process.kill()
        if self.marks is not None:
            self._watch_loop(self.marks)
        return True

    def _watch_loop(self, marks: MarksFile) -> None:
        if self._turns.look() == 0:
            self._still, self._is_dumped = 0, False
            return
        # One that somebody stopped is not blocked: others have its runs when its lease is over.
        if not is_stopped(self.process.pid):
            self._still += 1
        if self._still * self._cycle < (self._watchdog if self.has_turned else START_SECONDS):
            return
        if self.has_turned and not self._is_dumped:
            # It has until the next look to write its stacks.
            self._is_dumped = True
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, DUMP_SIGNAL)
            return
        logger.critical("the event loop of worker process %s does not turn: it is killed", self.process.pid)
        if self.has_turned:
            marks.note_block()
        self.process.kill()

    def _count_turns(self) -> int:
        turns = self.marks.turns() if self.marks is not None else 0
        self.has_turned = turns > 0
        return turns


def is_stopped(pid: int) -> bool:
    """Whether a process is held by a signal or a debugger."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("T", "t")
    except OSError:
        return False
