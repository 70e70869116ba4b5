"""django-q2's sentinel, with a guard and an end of our own.

It keeps the worker processes, the pusher and the monitor going, and waits for none of them without a limit.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connections
from django_q import cluster as stock
from django_q.cluster import Sentinel

from agents.queue import pulse, worker_process
from agents.queue.channel import STOP
from agents.queue.processes import die_with_parent
from agents.queue.pulse import Pulse, Stillness, TaskTimer
from agents.queue.watching import WorkerWatch

logger = logging.getLogger(__name__)

CYCLE = 0.5
AUXILIARY_PATIENCE = 30.0
"""Seconds after which a pusher or monitor that does not move is replaced: many times what an outage makes it wait."""
STILLBORN = 20
"""So many worker processes in a row that die before they begin: no further one will do better."""
EXIT_BROKEN = 70
DRAIN_MARGIN = worker_process.JOIN_MARGIN + 2.0
PUSHER_SECONDS, MONITOR_SECONDS = 3.0, 5.0

own_pulse = Pulse()
"""The sentinel's, watched by the main process; made before either is forked."""


class HardenedSentinel(Sentinel):
    """A sentinel that only its main process can stop, that no child can hold up, and that leaves no orphans."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        die_with_parent()
        pulse.take(own_pulse)
        self._watches: dict[Any, WorkerWatch] = {}
        self._auxiliaries: dict[str, Stillness] = {}
        self._stillborn = 0
        super().__init__(*args, **kwargs)

    def start(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        connections.close_all()
        self.pool: list[Any] = []
        for _ in range(self.pool_size):
            self.spawn_worker()
        self.monitor = self.spawn_monitor()
        self.pusher = self.spawn_pusher()
        self.guard()

    def spawn_worker(self, lost: tuple[int, ...] = ()) -> None:
        timer = TaskTimer(lost)
        process = self.spawn_process(stock.worker, self.task_queue, self.result_queue, timer, self.timeout)
        has_loop = stock.Conf.CLUSTER_NAME == "runs"
        figures = worker_process.worker_settings()
        self._watches[process] = WorkerWatch(
            process, cycle=CYCLE, watchdog=figures.watchdog, folder=figures.marks_folder if has_loop else None
        )

    def spawn_pusher(self) -> Any:
        beating = self._watch_auxiliary("pusher")
        return self.spawn_process(stock.pusher, self.task_queue, self.event_out, self.broker, beating)

    def spawn_monitor(self) -> Any:
        return self.spawn_process(stock.monitor, self.result_queue, self.broker, self._watch_auxiliary("monitor"))

    def guard(self) -> None:
        """Look after all processes until the main process sets the flag."""
        self.start_event.set()
        logger.info("cluster %s runs with %s workers", stock.Conf.CLUSTER_NAME, len(self.pool))
        while not self.stop_event.wait(CYCLE):
            pulse.beat()
            for watch in list(self._watches.values()):
                if not watch.look():
                    self._replace(watch)
            self.monitor = self._look_after("monitor", self.monitor, self.spawn_monitor)
            self.pusher = self._look_after("pusher", self.pusher, self.spawn_pusher)
        self.stop()

    def _replace(self, watch: WorkerWatch) -> None:
        process = watch.process
        logger.critical("worker process %s is gone (%s): it is replaced", process.pid, process.exitcode)
        self._stillborn = 0 if watch.has_turned or watch.marks is None else self._stillborn + 1
        if self._stillborn >= STILLBORN:
            logger.critical("%s worker processes died before they began: giving up", self._stillborn)
            raise SystemExit(EXIT_BROKEN)
        self._forget(watch)
        self.reincarnations += 1
        self.spawn_worker((watch.timer.message,) if watch.timer.message else ())

    def _forget(self, watch: WorkerWatch) -> None:
        del self._watches[watch.process]
        self.pool.remove(watch.process)

    def _watch_auxiliary(self, name: str) -> Pulse:
        beating = Pulse()
        self._auxiliaries[name] = Stillness(lambda: beating.count)
        return beating

    def _look_after(self, name: str, process: Any, spawn: Callable[[], Any]) -> Any:
        """Give the process, or the one that takes its place because it is gone or stuck."""
        is_stuck = self._auxiliaries[name].look() * CYCLE > AUXILIARY_PATIENCE
        if process.is_alive() and not is_stuck:
            return process
        logger.critical("the %s %s is %s: it is replaced", name, process.pid, "stuck" if is_stuck else "gone")
        process.kill()
        self.reincarnations += 1
        return spawn()

    def stop(self) -> None:
        """Drain: the pusher fetches nothing more, the workers end what they do within their grace."""
        logger.info("cluster %s stops", stock.Conf.CLUSTER_NAME)
        self.event_out.set()
        for process in self.pool:
            process.terminate()
        ends = time.monotonic() + settings.GRACE_SECONDS + DRAIN_MARGIN
        while self._watches and time.monotonic() < ends:
            for watch in list(self._watches.values()):
                if not watch.look():
                    self._forget(watch)
            self._pause()
        for process in self.pool:
            logger.warning("worker process %s did not stop in time: it is killed", process.pid)
            process.kill()
        self._end(self.pusher, PUSHER_SECONDS)
        self.result_queue.put(STOP, timeout=1.0)
        self._end(self.monitor, MONITOR_SECONDS)

    def _end(self, process: Any, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while process.is_alive() and time.monotonic() < ends:
            self._pause()
        process.kill()

    @staticmethod
    def _pause() -> None:
        pulse.beat()
        time.sleep(0.05)
