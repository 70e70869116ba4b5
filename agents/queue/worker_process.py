"""One driver in each worker process of the cluster `runs`: an asyncio loop in a thread beside django-q2's own loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable

from django.conf import settings

from agents.engine.driver import Driver
from agents.engine.journal.opening import open_store
from agents.engine.ports import Ports
from agents.engine.worker_settings import WorkerSettings

logger = logging.getLogger(__name__)

EXIT_FAILED = 70
"""EX_SOFTWARE: the driver ended by itself; django-q2's sentinel starts the process anew."""
JOIN_MARGIN = 10.0
GC_THRESHOLDS = (50_000, 50, 100)
SWITCH_INTERVAL = 0.001

_current: DriverThread | None = None
_make_ports: Callable[[], Ports] | None = None


def worker_settings() -> WorkerSettings:
    """Give the figures of a worker process from Django's settings."""
    return WorkerSettings(
        slots=settings.SLOTS,
        lease=settings.LEASE_SECONDS,
        heartbeat=settings.HEARTBEAT_SECONDS,
        grace=settings.GRACE_SECONDS,
    )


def bind_ports(make: Callable[[], Ports]) -> None:
    """Say how the ports of a worker process are made; called once, when Django starts."""
    global _make_ports
    _make_ports = make


def make_driver(queue: str = "runs") -> Driver:
    """Give a driver with the bound ports."""
    if _make_ports is None:
        raise RuntimeError("No ports are bound; agents/apps.py does it when Django starts.")
    return Driver(worker_settings(), _make_ports(), open_store, queue=queue)


class DriverThread:
    """Runs a driver's event loop; the process ends when the driver does."""

    def __init__(self) -> None:
        self._driver: Driver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="driver", daemon=True)

    def start(self) -> None:
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

    def _run(self) -> None:
        try:
            asyncio.run(self._drive())
        except BaseException:
            logger.exception("the driver of worker process %s failed", os.getpid())
            os._exit(EXIT_FAILED)
        if not self._stopped:
            os._exit(EXIT_FAILED)

    async def _drive(self) -> None:
        self._driver = make_driver()
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
