"""django-q2's cluster, with the faults of its processes mended from outside.

Its classes and functions are module globals, replaced here before the cluster starts:
- a queue that survives a kill -9 of its readers (channel.py), flags and timers without locks (pulse.py);
- children die with their parent, so nothing goes on consuming when the sentinel or the main process was killed;
- SIGTERM to the whole process group drains: the main process tells the sentinel, the sentinel the workers;
- who does not move is killed and replaced by whoever is above it (sentinel.py, watching.py);
- a task that kills its worker or can't be read is set aside (deliveries.py);
- the exit code tells a service manager whether the end was asked for.
"""

from __future__ import annotations

import logging
import time
from types import FrameType

from django.db import connections
from django_q import cluster as stock
from django_q.cluster import Cluster, get_mp_context

from agents.engine.leases import process_start
from agents.engine.outages import DATABASE_ERRORS
from agents.queue import deliveries, processes, sentinel
from agents.queue.channel import Channel
from agents.queue.pulse import Flag, Stillness
from agents.queue.sentinel import CYCLE, EXIT_BROKEN, HardenedSentinel

logger = logging.getLogger(__name__)

SENTINEL_PATIENCE = 6.0
"""Seconds after which a sentinel that does not move is killed; its children die with it, and others start all anew."""
ONCE_MORE = 2.0
"""A second signal counts only after so many seconds: a service manager tells the whole group, and so do we."""


def run_cluster(queue: str) -> int:
    """Run the cluster of one queue until it is stopped; gives the exit code: 0 if that was asked for, else 70.

    The variable Q_CLUSTER_NAME must have named the queue when django_q was first imported.
    """
    if queue != stock.Conf.CLUSTER_NAME:
        raise RuntimeError(f"Set Q_CLUSTER_NAME={queue} before starting: django-q2 reads it at import.")
    _mend()
    return HardenedCluster().run()


class HardenedCluster(Cluster):
    """The main process: starts the sentinel, tells it to stop, and notices when it is gone or stuck."""

    def __init__(self) -> None:
        # Before the handlers are in place: a signal may come at once.
        self._asked_at: float | None = None
        self._started, self._stopping = Flag(), Flag()
        super().__init__()

    def run(self) -> int:
        arguments = (self._stopping, self._started, self.cluster_id, None, None)
        self.sentinel = get_mp_context().Process(target=HardenedSentinel, name="sentinel", args=arguments)
        self.sentinel.start()
        holder = deliveries.holder_name(self.sentinel.pid, process_start(self.sentinel.pid))
        watch = Stillness(lambda: sentinel.own_pulse.count)
        is_stuck = False
        while self.sentinel.is_alive():
            self.sentinel.join(CYCLE)
            if watch.look() * CYCLE > SENTINEL_PATIENCE and not is_stuck:
                logger.critical("the sentinel %s does not move: it is killed", self.sentinel.pid)
                is_stuck = True
                self.sentinel.kill()
        if self._asked_at is None or is_stuck:
            logger.critical("the sentinel is gone (%s)", self.sentinel.exitcode)
            return EXIT_BROKEN
        self._give_back(holder)
        return 0

    def sig_handler(self, signum: int, frame: FrameType | None) -> None:
        """Stop; told once more, at once. Only flags and signals: the interrupted code may hold any lock."""
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            self._stopping.set()
        elif now - self._asked_at > ONCE_MORE and self.sentinel is not None:
            self.sentinel.kill()

    @staticmethod
    def _give_back(holder: str) -> None:
        """Tasks that were fetched and not begun, or cut off by the stop, are others' now."""
        try:
            deliveries.give_back_of(holder)
        except DATABASE_ERRORS as error:
            logger.warning("tasks are not given back: %s", error)
        finally:
            connections.close_all()


def _mend() -> None:
    for database in connections.settings.values():
        # A pool's threads and sockets do not survive the fork.
        database.get("OPTIONS", {}).pop("pool", None)
    connections.close_all()
    stock.Queue, stock.Event, stock.Sentinel = Channel, Flag, HardenedSentinel
    stock.worker, stock.pusher, stock.monitor = processes.worker, processes.pusher, processes.monitor
