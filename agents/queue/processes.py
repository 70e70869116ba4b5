"""What the processes of a cluster do: django-q2's own loops, each with what they lack around it."""

from __future__ import annotations

import ctypes
import os
import signal
from functools import partial
from types import FrameType
from typing import Any, NoReturn

from django_q import cluster as stock

from agents.queue import deliveries, pulse, worker_process
from agents.queue.channel import STOP, Channel
from agents.queue.insisting import insist
from agents.queue.pulse import IDLE, Pulse, TaskTimer

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
_libc = ctypes.CDLL(None)

_stock_worker, _stock_pusher, _stock_monitor = stock.worker, stock.pusher, stock.monitor


class Inbox:
    """A worker's end of the task queue: it notes which message it took, for whoever finds it dead.

    Hints, which have no row, it heeds by itself. As tasks, of which there is nothing to keep, a hundred of them in a
    second would cost this process and the monitor a sixth of a processor while the driver needs it.
    """

    def __init__(self, channel: Channel, timer: TaskTimer) -> None:
        self._channel = channel
        self._timer = timer

    def get(self) -> Any:
        self._timer.message = 0
        while (task := self._channel.get()) != STOP:
            if isinstance(task["ack_id"], int):
                self._timer.message = task["ack_id"]
                break
            worker_process.poke()
        return task


def worker(task_queue: Channel, result_queue: Channel, timer: TaskTimer, timeout: int) -> None:
    """Be a worker process: django-q2's loop in the main thread, in the cluster `runs` a driver beside it."""
    die_with_parent()
    # Not the sentinel's any more: a child that waits would make it look alive.
    pulse.take(Pulse())

    def stop(signum: int, frame: FrameType | None) -> None:
        if Channel.stopping:
            return  # Told twice: the first time counts, and nothing may interrupt the drain.
        Channel.stopping = True
        if timer.value == IDLE:
            raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    driver = worker_process.start() if stock.Conf.CLUSTER_NAME == "runs" else None
    try:
        insist("worker", partial(deliveries.give_back, timer.lost))
        _stock_worker(Inbox(task_queue, timer), result_queue, timer, timeout)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if driver is not None:
            driver.stop()


def pusher(task_queue: Channel, event: Any, broker: Any, beating: Pulse) -> None:
    """Be the pusher process."""
    die_with_parent()
    pulse.take(beating)
    _stock_pusher(task_queue, event, broker)


def monitor(result_queue: Channel, broker: Any, beating: Pulse) -> None:
    """Be the monitor process."""
    die_with_parent()
    pulse.take(beating)
    _stock_monitor(result_queue, broker)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, however the parent dies."""
    parent = os.getppid()
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        _die()


def name_process(name: str) -> None:
    """Have this process shown by that name, cut to what the kernel keeps of it."""
    _libc.prctl(PR_SET_NAME, name.encode()[:15])


def _die() -> NoReturn:
    os._exit(1)
