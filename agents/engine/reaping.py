"""What becomes of the runs, and of the calls in processes, of workers that are gone or silent.

A process that is gone has left marks on this machine: what was on its processor and in its threads is suspect of having
ended it. Suspects run alone, one to a worker, until they have proven themselves; three crashes of a run that was alone
end it. Silence, a stop and a drain make nobody suspect.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.db import connection, transaction

from agents.engine import control, process_calls
from agents.engine.connecting import end_hanging_sessions
from agents.engine.database_clock import database_now, database_seconds
from agents.engine.leases import LIVING, host_id, process_start
from agents.engine.marks import LastMarks, Mark, MarksFile, blocked_name
from agents.engine.queueing import requeue
from agents.models import Inbox, Run, RunStatus, Worker, WorkerState

MAX_CRASHES = 3
WORKER_DIED = "worker died"
FRAME = re.compile(r'File "([^"]+)", line (\d+) in (.+)')


@dataclass(frozen=True, slots=True)
class Watched:
    """Where the marks of this machine's workers are, and after how many seconds a loop counts as blocked."""

    folder: Path | None = None
    watchdog: float = 6.0


NOTHING_WATCHED = Watched()


def reap(*, silent_too: bool = True, watched: Watched = NOTHING_WATCHED) -> int:
    """Declare vanished workers dead, `silent_too` those whose lease ran out, and queue their runs.

    Gives the number of runs queued.
    """
    now = database_seconds()
    here = host_id()
    living = list(Worker.objects.filter(state__in=LIVING))
    if silent_too and (overdue := [worker.lease for worker in living if now - worker.seen > worker.lease / 2]):
        # What they hold locked, others wait for: in the end for the very row that says whether the worker lives.
        end_hanging_sessions(min(overdue) / 2)
    for worker in living:
        is_gone = worker.host_id == here and process_start(worker.pid) != worker.pid_start
        is_of_another_boot = connection.vendor == "sqlite" and worker.host_id.split(":")[0] != here.split(":")[0]
        is_silent = silent_too and now - worker.seen > worker.lease
        if is_gone and watched.folder is not None:
            _bury(worker, MarksFile(watched.folder, worker.host_id, worker.pid, worker.pid_start), watched.watchdog)
        elif is_gone or is_of_another_boot or is_silent:
            _declare_dead(worker)
    # Also of those who were declared dead by a reaper that died before it queued their runs.
    holders = _holders() | process_calls.holders()
    gone = holders - set(Worker.objects.filter(state__in=LIVING).values_list("pk", flat=True))
    return requeue(Run.objects.filter(worker__in=gone), WORKER_DIED) + process_calls.lose(gone) if gone else 0


def _holders() -> set[int | None]:
    """Give the workers that hold runs, living or not.

    Asked by itself, before the question who lives: it is answered from the index of running runs alone. Asked in one
    for runs without a living worker, SQLite would look at every run there ever was.
    """
    running = Run.objects.filter(status=RunStatus.RUNNING).order_by()
    return set(running.values_list("worker_id", flat=True).distinct())


def _declare_dead(worker: Worker) -> bool:
    # Compare and set: a heartbeat that came meanwhile wins.
    silent = Worker.objects.filter(pk=worker.pk, state__in=LIVING, seen=worker.seen)
    return silent.update(state=WorkerState.DEAD, stopped_at=database_now(), busy=0) == 1


def _bury(worker: Worker, file: MarksFile, watchdog: float) -> None:
    """Declare a worker dead whose process is gone, and at the same moment find out whose fault that was."""
    marks = file.last()
    with transaction.atomic():
        # At once: between the two, another worker would queue a suspect like any other run.
        if not _declare_dead(worker):
            return
        # One that was draining was told to go, and perhaps killed because it took too long.
        poisonous = _judge(worker, marks, watchdog) if marks and worker.state == WorkerState.ALIVE else []
    for run in poisonous:
        control.cancel_below(run.id, by="its parent")
    file.remove()


def _judge(worker: Worker, marks: LastMarks, watchdog: float) -> list[Run]:
    """Mark suspects, count crashes of those that were alone; gives the runs that this ended."""
    accused = {mark.run_id: mark for mark in reversed(_accused(marks))}
    held = Run.objects.select_for_update(no_key=True).filter(worker_id=worker.pk, status=RunStatus.RUNNING)
    ended = []
    for run in held.filter(id__in=accused).order_by("id"):
        mark = accused[run.id]
        was_alone, run.suspect = run.suspect, True
        if marks.is_blocked and mark == marks.processor:
            _tell_of_block(run, mark, marks.stack, watchdog)
            # The step's own attempts count; code between the steps has none.
            was_alone &= not mark.key
        else:
            control.log(run, "worker_died", {"key": mark.key, "how": _how(marks), "alone": was_alone})
        if was_alone:
            run.crashes += 1
        if run.crashes >= MAX_CRASHES:
            control.end_as_failed(run, _poison(run, mark, marks))
            ended.append(run)
        else:
            control.save(run)
    return ended


def _accused(marks: LastMarks) -> list[Mark]:
    """Give what may have ended the process."""
    if marks.is_blocked:
        return [marks.processor] if marks.processor is not None else []
    if not marks.present and marks.ended_by_itself and marks.processor is not None:
        # A thread that is not ours did it: started, as likely as not, by what ran last.
        return [marks.processor]
    return marks.present


def _tell_of_block(run: Run, mark: Mark, stack: str, watchdog: float) -> None:
    control.log(run, "loop_blocked", {"key": mark.key, "seconds": watchdog, "stack": stack})
    if mark.key:
        data = {"where": _where(stack), "seconds": watchdog}
        Inbox.objects.create(run_id=run.id, name=blocked_name(mark.key), token=uuid4().hex, data=data)
        run.wakes += 1


def _where(stack: str) -> str:
    """Name the step's own function, the last one that the engine called; of a stack with the latest call first."""
    frames = [match.groups() for match in FRAME.finditer(stack)]
    own = list(takewhile(lambda frame: "/agents/engine/" not in frame[0], frames))
    if not own:
        return ""
    path, line, function = own[-1]
    return f" in {function} ({path.rpartition('/')[2]}:{line})"


def _poison(run: Run, mark: Mark, marks: LastMarks) -> dict[str, Any]:
    times = "three times" if run.crashes == MAX_CRASHES else f"{run.crashes} times"
    place = f"in the step {mark.key}" if mark.key else "in the workflow's own code"
    message = f"Its worker died {times} while it ran alone; last seen {place}, {_how(marks)}."
    return {"type": "Poison", "message": message, **({"step": mark.key} if mark.key else {})}


def _how(marks: LastMarks) -> str:
    """Say in words how the process ended."""
    if marks.is_blocked:
        return "blocking the event loop"
    if marks.exit_code is None:
        return "killed"
    if marks.exit_code >= 0:
        return f"exit code {marks.exit_code}"
    try:
        return f"killed by {signal.Signals(-marks.exit_code).name}"
    except ValueError:
        return f"killed by signal {-marks.exit_code}"
