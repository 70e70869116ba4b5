"""Runs that are suspect of having ended their worker: each has a worker for itself until it has proven itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import UUID

from agents.engine.canonical import decode
from agents.engine.errors import LoopBlocked
from agents.engine.leases import LIVING
from agents.models import Run, RunStatus, Worker, WorkerState

if TYPE_CHECKING:
    from agents.engine.execution import Execution


class Trial:
    """The time that a suspect spends alone in this worker."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self._known = {key for key, step in execution.steps.items() if step.is_done}

    @property
    def has_proven_itself(self) -> bool:
        """Whether an outcome that was not there before is committed."""
        # The journal says of a record that it is stored once it is committed.
        return any(s.is_done and s.is_stored and key not in self._known for key, s in self.execution.steps.items())

    @property
    def may_rest(self) -> bool:
        """Whether a park proves something.

        It does not if nothing of the run was executed, or if it puts off the next attempt of a step that blocked the
        loop.
        """
        if not self.execution.has_begun:
            return False
        waiting = [step for step in self.execution.steps.values() if step.status == "retrying" and step.attempts]
        return not any(decode(step.attempts)[-1]["type"] == LoopBlocked.__name__ for step in waiting)


def acquit(run_id: UUID, epoch: int, *, has_proven_itself: bool) -> None:
    """Let a run among the others again: for what this epoch has committed, or for having parked or ended in it."""
    runs = Run.objects.filter(pk=run_id, epoch=epoch, suspect=True)
    if not has_proven_itself:
        runs = runs.exclude(status__in=(RunStatus.RUNNING, RunStatus.QUEUED))
    runs.update(suspect=False, crashes=0)


class Patience:
    """Sees to it that suspects are not kept waiting when no worker is ever empty."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._waiting_since: float | None = None

    def is_worn_out(self, worker_id: int, queue: str) -> bool:
        """Whether this worker is the one to give its runs back, so that its successor begins with a suspect."""
        if not are_waiting():
            self._waiting_since = None
            return False
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        if now - self._waiting_since < self.seconds:
            return False
        busy_with_one = Run.objects.filter(status=RunStatus.RUNNING, suspect=True).values("worker_id")
        living = Worker.objects.filter(queue=queue, state__in=LIVING).exclude(pk__in=busy_with_one)
        states = dict(living.values_list("pk", "state"))
        # All see the same workers: the newest one goes, and only one at a time.
        return max(states, default=0) == worker_id and WorkerState.DRAINING not in states.values()


def are_waiting() -> bool:
    """Whether suspects wait for an empty worker."""
    return Run.objects.filter(status=RunStatus.QUEUED, suspect=True).exists()
