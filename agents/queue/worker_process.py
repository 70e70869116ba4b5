"""One driver in each worker process of the cluster `runs`: an asyncio loop in a thread beside django-q2's own loop."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from agents.engine import leases
from agents.engine.driver import Driver
from agents.engine.journal.opening import open_store
from agents.engine.marks import Marks, MarksFile
from agents.engine.ports import Ports
from agents.engine.worker_settings import WorkerSettings
from tools import threads

logger = logging.getLogger(__name__)

DUMP_SIGNAL = signal.SIGUSR1
"""Makes a worker process write the stacks of its threads into a file, whatever it is doing."""
EXIT_FAILED = 70
"""EX_SOFTWARE: the driver ended by itself; django-q2's sentinel starts the process anew."""
JOIN_MARGIN = 10.0
GC_THRESHOLDS = (50_000, 10, 10)
SWITCH_INTERVAL = 0.001

_current: DriverThread | None = None
_make_ports: Callable[[], Ports] | None = None


def worker_settings() -> WorkerSettings:
    """Give the figures of a worker process from Django's settings."""
    return WorkerSettings(
        host=settings.WORKER_HOST,
        slots=settings.SLOTS,
        lease=settings.LEASE_SECONDS,
        heartbeat=settings.HEARTBEAT_SECONDS,
        grace=settings.GRACE_SECONDS,
        # Statements give up at a half of the lease, blocked loops at three quarters, others take over at the whole.
        watchdog=settings.LEASE_SECONDS * 0.75,
        marks_folder=marks_folder(),
    )


def marks_folder() -> Path:
    """Give the folder in which the worker processes of this machine leave their marks."""
    return Path(settings.VAR_DIR / "workers")


def bind_ports(make: Callable[[], Ports]) -> None:
    """Say how the ports of a worker process are made; called once, when Django starts."""
    global _make_ports
    _make_ports = make


def make_ports() -> Ports:
    """Give the bound ports, made for this process."""
    if _make_ports is None:
        raise RuntimeError("No ports are bound; agents/apps.py does it when Django starts.")
    return _make_ports()


def make_driver(queue: str = "runs", marks: Marks | None = None) -> Driver:
    """Give a driver with the bound ports."""
    return Driver(worker_settings(), make_ports(), open_store, queue=queue, marks=marks)


class DriverThread:
    """Runs a driver's event loop; the process ends when the driver does."""

    def __init__(self) -> None:
        self._marks = Marks()
        self._file: MarksFile | None = None
        self._driver: Driver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="driver", daemon=True)

    def start(self) -> None:
        self._leave_marks()
        # Thousands of small records live between two commits: collecting as often as by default costs a quarter of
        # the processor. What was loaded before the fork is never garbage.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        # The journal's thread comes back from the database many times per batch; at Python's default it would wait up
        # to 5 ms for the busy loop each time.
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._thread.start()

    def poke(self) -> None:
        """Wake the driver. A hint that comes too early or too late costs nothing."""
        if self._loop is not None and self._driver is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._driver.poke)

    def stop(self) -> None:
        """Drain; returns when the runs are given back."""
        self._stopped = True
        if self._loop is not None and self._driver is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._driver.stop)
        self._thread.join(settings.GRACE_SECONDS + JOIN_MARGIN)
        if self._file is not None and not self._thread.is_alive():
            self._file.remove()

    def _leave_marks(self) -> None:
        """Let the sentinel see that the loop turns, and whoever finds this process dead what it was doing."""
        pid = os.getpid()
        self._file = MarksFile(marks_folder(), leases.host_id(), pid, leases.process_start(pid) or 0)
        try:
            self._marks = Marks.make(self._file.path)
            stacks = self._file.stack_path.open("w")
        except OSError as error:
            logger.error("no marks of worker process %s: %s", pid, error)
            return
        # Works while other code holds the interpreter, as a handler in Python would not.
        faulthandler.register(DUMP_SIGNAL, file=stacks, all_threads=True)
        faulthandler.enable()
        threads.surround(self._marks.in_thread)

    def _run(self) -> None:
        try:
            asyncio.run(self._drive())
        except BaseException:
            logger.exception("the driver of worker process %s failed", os.getpid())
            os._exit(EXIT_FAILED)
        if self._stopped:
            return
        if self._driver is not None and self._driver.has_stepped_aside:
            if self._file is not None:
                self._file.remove()
            os._exit(0)
        os._exit(EXIT_FAILED)

    async def _drive(self) -> None:
        self._driver = make_driver(marks=self._marks)
        self._loop = asyncio.get_running_loop()
        if self._stopped:
            return
        await self._driver.run()


def start() -> DriverThread:
    """Start this process's driver."""
    global _current
    _current = DriverThread()
    _current.start()
    return _current


def poke() -> None:
    """Wake this process's driver, if it has one."""
    if _current is not None:
        _current.poke()
