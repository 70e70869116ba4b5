"""One foreground process that keeps its child processes running and takes all of them down with it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agents.management.children import Child, Program, describe_exit

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
# So many deaths within that time: something is wrong that no restart will mend.
MOST_DEATHS = 5
DEATHS_WITHIN = 60.0
TICK = 0.2
WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)


@dataclass
class Watch:
    """A program, its present process, and its history of deaths."""

    program: Program
    child: Child | None = None
    restart_at: float | None = None
    deaths: list[float] = field(default_factory=list)

    def note_death(self, now: float) -> float | None:
        """Plan the next start and return the pause before it; None when it dies too often."""
        self.child = None
        self.deaths = [*(at for at in self.deaths if now - at < DEATHS_WITHIN), now]
        if len(self.deaths) >= MOST_DEATHS:
            return None
        pause = min(FIRST_PAUSE * 2.0 ** (len(self.deaths) - 1), LONGEST_PAUSE)
        self.restart_at = now + pause
        return pause


class Supervisor:
    """Runs programs until it is told to stop (SIGINT, SIGTERM) or one of them keeps dying.

    Programs stop stage by stage, each given `grace` seconds; a second signal ends all of them at once.
    """

    def __init__(self, programs: Sequence[Program], *, grace: float, say: Callable[[str], None]) -> None:
        self._watches = [Watch(program) for program in programs]
        self._grace = grace
        self._say = say
        self._stage: int | None = None
        self._stage_ends = 0.0
        self._exit_code = 0

    def run(self, *, is_ready: Callable[[], bool] | None = None, when_ready: Callable[[], None] | None = None) -> int:
        """Run to the end and return the exit code: 0 when stopped on request."""
        # Signals are waited for instead of handled: nothing is ever interrupted half-way.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        try:
            for watch in self._watches:
                self._start(watch)
            while True:
                self._handle(signal.sigtimedwait(WATCHED, TICK if is_ready else 1.0))
                now = time.monotonic()
                self._reap(now)
                if self._stage is None:
                    self._restart(now)
                elif self._is_stopped(now):
                    return self._exit_code
                if is_ready and when_ready and is_ready():
                    is_ready = None
                    when_ready()
        finally:
            for watch in self._watches:
                if watch.child:
                    watch.child.kill()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @property
    def _running(self) -> list[Child]:
        return [watch.child for watch in self._watches if watch.child]

    def _start(self, watch: Watch) -> None:
        watch.restart_at = None
        watch.child = Child(watch.program)
        self._say(f"{watch.program.name} started (pid {watch.child.pid})")

    def _handle(self, received: signal.struct_siginfo | None) -> None:
        if received is None or received.si_signo == signal.SIGCHLD:
            return
        if self._stage is None:
            self._say("stopping: running steps may finish. Once more to stop at once.")
            self._stop()
        else:
            self._say("stopping at once")
            for child in self._running:
                child.kill()

    def _stop(self, exit_code: int = 0) -> None:
        self._exit_code = exit_code
        self._enter_stage(min((child.program.stage for child in self._running), default=0))

    def _enter_stage(self, stage: int) -> None:
        self._stage = stage
        self._stage_ends = time.monotonic() + self._grace
        for child in self._running:
            if child.program.stage == stage:
                child.ask_to_stop()

    def _reap(self, now: float) -> None:
        for watch in self._watches:
            code = watch.child.poll() if watch.child else None
            if watch.child is None or code is None:
                continue
            # What it started and left behind must not go on without it.
            watch.child.kill()
            name = f"{watch.program.name} (pid {watch.child.pid})"
            if self._stage is not None:
                watch.child = None
                asked = code in (0, -signal.SIGTERM)
                self._say(f"{name} stopped" if asked else f"{name} stopped: {describe_exit(code)}")
            else:
                self._mourn(watch, f"{name} died: {describe_exit(code)}", now)

    def _mourn(self, watch: Watch, obituary: str, now: float) -> None:
        pause = watch.note_death(now)
        if pause is not None:
            self._say(f"{obituary}; starting it again in {pause:.0f} s")
        else:
            self._say(f"{obituary}; {MOST_DEATHS} times within a minute, giving up")
            self._stop(exit_code=1)

    def _restart(self, now: float) -> None:
        for watch in self._watches:
            if watch.restart_at is not None and watch.restart_at <= now:
                self._start(watch)

    def _is_stopped(self, now: float) -> bool:
        """Go on with the next stage when this one is over; say whether nothing is left."""
        left = [child for child in self._running if child.program.stage == self._stage]
        if left and now < self._stage_ends:
            return False
        for child in left:
            self._say(f"{child.program.name} did not stop within {self._grace:.0f} s: killing it")
            child.kill()
        if left:
            return False
        if self._running:
            self._enter_stage(min(child.program.stage for child in self._running))
            return False
        return True
