"""django-q2's cluster, with the faults of its processes mended from outside.

Its classes and functions are module globals, replaced here before the cluster starts:
- a queue that survives a kill -9 of its readers (channel.py);
- children die with their parent, so nothing goes on consuming when the sentinel or the main process was killed;
- SIGTERM to the whole process group drains: the main process tells the sentinel, the sentinel the workers;
- a worker that does not react is killed for certain;
- the exit code tells a service manager whether the end was asked for.
"""

from __future__ import annotations

import ctypes
import os
import signal
from types import FrameType
from typing import Any, NoReturn

from django.db import connections
from django_q import cluster as stock
from django_q.cluster import Cluster, Sentinel

from agents.queue import worker_process
from agents.queue.channel import Channel

PR_SET_PDEATHSIG = 1
EXIT_SENTINEL_DIED = 70
IDLE = -1.0

_stock_worker, _stock_pusher, _stock_monitor = stock.worker, stock.pusher, stock.monitor


def run_cluster(queue: str) -> int:
    """Run the cluster of one queue until it is stopped; gives the exit code.

    The variable Q_CLUSTER_NAME must have named the queue when django_q was first imported.
    """
    if queue != stock.Conf.CLUSTER_NAME:
        raise RuntimeError(f"Set Q_CLUSTER_NAME={queue} before starting: django-q2 reads it at import.")
    _mend()
    cluster = StoppableCluster()
    cluster.start()
    cluster.sentinel.join()
    return 0 if cluster.stop_requested else EXIT_SENTINEL_DIED


class StoppableCluster(Cluster):
    """Remembers that it was told to stop."""

    stop_requested = False

    def sig_handler(self, signum: int, frame: FrameType | None) -> None:
        self.stop_requested = True
        # Only the flag: joining in here would wait for a lock that the interrupted code may hold.
        if self.stop_event is not None:
            self.stop_event.set()


class HardenedSentinel(Sentinel):
    """A sentinel that only its main process can stop, and that leaves no orphans."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        die_with_parent()
        super().__init__(*args, **kwargs)

    def start(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        super().start()

    def reincarnate(self, process: Any) -> None:
        timer = getattr(process, "timer", None)
        if timer is not None and timer.value == 0:
            # The stock terminate() is a SIGTERM, which a worker takes as a wish.
            process.kill()
        super().reincarnate(process)


def worker(task_queue: Channel, result_queue: Channel, timer: Any, timeout: int) -> None:
    """Be a worker process: django-q2's loop in the main thread, in the cluster `runs` a driver beside it."""
    die_with_parent()

    def stop(signum: int, frame: FrameType | None) -> None:
        Channel.stopping = True
        if timer.value == IDLE:
            raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    driver = worker_process.start() if stock.Conf.CLUSTER_NAME == "runs" else None
    try:
        _stock_worker(task_queue, result_queue, timer, timeout)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if driver is not None:
            driver.stop()


def pusher(task_queue: Channel, event: Any, broker: Any = None) -> None:
    """Be the pusher process."""
    die_with_parent()
    _stock_pusher(task_queue, event, broker)


def monitor(result_queue: Channel, broker: Any = None) -> None:
    """Be the monitor process."""
    die_with_parent()
    _stock_monitor(result_queue, broker)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, however the parent dies."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        _die()


def _die() -> NoReturn:
    os._exit(1)


def _mend() -> None:
    for database in connections.settings.values():
        # A pool's threads and sockets do not survive the fork.
        database.get("OPTIONS", {}).pop("pool", None)
    connections.close_all()
    stock.Queue, stock.Sentinel = Channel, HardenedSentinel
    stock.worker, stock.pusher, stock.monitor = worker, pusher, monitor
