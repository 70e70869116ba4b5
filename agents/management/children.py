"""Child processes that end with their parent and say how they ended."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

PR_SET_PDEATHSIG = 1
# Loaded before any fork: a child may do next to nothing between fork and exec.
_libc = ctypes.CDLL(None, use_errno=True)


def agentsite(*arguments: str) -> list[str]:
    """Return the command line of one of our own commands."""
    return [sys.executable, "-m", "agentsite", *arguments]


@dataclass(frozen=True)
class Program:
    """What a child runs. Those of a lower `stage` are asked to stop first."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    stage: int = 0


class Child:
    """A running program, alone in a process group of its own: the terminal's Ctrl-C reaches only the parent."""

    def __init__(self, program: Program) -> None:
        parent = os.getpid()

        def before_exec() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            # The parent waits for signals with these blocked; the child must hear them.
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            if os.getppid() != parent:
                os._exit(1)  # the parent died before it could be watched

        self.program = program
        self._process = subprocess.Popen(
            program.command,
            env={**os.environ, **program.environment},
            process_group=0,
            preexec_fn=before_exec,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        """End it and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def describe_exit(code: int) -> str:
    """Say in words how a process ended."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
