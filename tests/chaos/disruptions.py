"""Carrying out a disruption on the processes and the database of the product under chaos."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Container
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import psycopg
from django.db import DatabaseError, InterfaceError, connection

from agents.models import Run, RunStatus, Worker, WorkerState
from tests.chaos.clusters import Cluster, Clusters, send
from tests.chaos.schedule import Disruption
from tests.instance import Process, free_port, wait_until
from tests.postgres import Server


@dataclass(frozen=True, slots=True)
class Stop:
    """Processes that were stopped from one time to another."""

    pids: frozenset[int]
    began: float
    ended: float


class Disruptions:
    """Carries out disruptions, counts them, and remembers when what was held up by them."""

    def __init__(self, clusters: Clusters, server: Server | None, file: Path | None) -> None:
        self.counts: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.held_up: list[tuple[float, float]] = []
        """From when to when the database did not answer as it should."""
        self.stops: list[Stop] = []
        self._clusters = clusters
        self._server = server
        self._file = file
        self._lasting: list[threading.Thread] = []
        self._is_over = threading.Event()
        self._deeds: dict[str, Callable[[Disruption], bool]] = {
            "kill busy worker": lambda d: self._signal_one(self._workers(d, busy=True), d, signal.SIGKILL),
            "kill idle worker": lambda d: self._signal_one(self._workers(d, busy=False), d, signal.SIGKILL),
            "kill pusher": lambda d: self._kill_other(d, Cluster.pusher),
            "kill monitor": lambda d: self._kill_other(d, Cluster.monitor),
            "kill sentinel": lambda d: self._signal_one(self._some(d, Cluster.sentinel), d, signal.SIGKILL),
            "kill main": lambda d: self._signal_one(self._some(d, Cluster.main), d, signal.SIGKILL),
            "kill cluster": self._kill_cluster,
            "kill web": self._kill_web,
            "terminate worker": lambda d: self._signal_one(self._workers(d, busy=True), d, signal.SIGTERM),
            "terminate main": lambda d: self._signal_one(self._some(d, Cluster.main), d, signal.SIGTERM),
            "terminate group": self._terminate_group,
            "stop worker": lambda d: self._stop(self._pick(self._workers(d, busy=True), d), d),
            "stop cluster": lambda d: self._stop(self._some(d, Cluster.everybody), d),
            "stop sentinel": lambda d: self._stop(self._some(d, Cluster.sentinel), d),
            "end sessions": self._end_sessions,
            "restart database": lambda d: self._restart(crash=False),
            "crash database": lambda d: self._restart(crash=True),
            "lock runs": lambda d: self._last(self._lock_runs, d),
            "hold lock": lambda d: self._last(self._hold_lock, d),
            "short web": lambda d: self._last(self._short_web, d),
            "checkpoint": self._checkpoint,
        }

    def carry_out(self, disruption: Disruption) -> None:
        """Do it, now. What it was meant for may not be there: then it is counted as missed."""
        try:
            is_done = self._deeds[disruption.kind](disruption)
        except (DatabaseError, InterfaceError, psycopg.Error, psutil.NoSuchProcess):
            connection.close()
            is_done = False
        (self.counts if is_done else self.missed)[disruption.kind] += 1

    def end(self) -> None:
        """End what lasts: everybody goes on, nothing is held any more."""
        self._is_over.set()
        for thread in self._lasting:
            thread.join(60.0)
        self._clusters.wake_everybody()

    # -- processes -------------------------------------------------------------------------------------------------

    def _cluster(self, disruption: Disruption) -> Cluster:
        return self._in_turn(disruption)[0]

    def _in_turn(self, disruption: Disruption) -> list[Cluster]:
        """Give the clusters, the chosen one first."""
        clusters = self._clusters.clusters
        first = int(disruption.which * len(clusters))
        return [*clusters[first:], *clusters[:first]]

    def _some(self, disruption: Disruption, find: Callable[[Cluster], list[psutil.Process]]) -> list[psutil.Process]:
        """Give what is found in the chosen cluster, or in the next one that is complete."""
        complete = [cluster for cluster in self._in_turn(disruption) if cluster.sentinel()]
        return next((found for cluster in complete if (found := find(cluster))), [])

    def _workers(self, disruption: Disruption, *, busy: bool) -> list[psutil.Process]:
        """Give the worker processes that hold runs, or that hold none; any, if there are no such."""
        held = Run.objects.filter(status=RunStatus.RUNNING).values("worker_id")
        living = Worker.objects.filter(state=WorkerState.ALIVE)
        chosen = living.filter(pk__in=held) if busy else living.exclude(pk__in=held)
        pids = set(chosen.values_list("pid", flat=True))
        known = self._worker_pids()
        workers = [worker for cluster in self._clusters.clusters for worker in cluster.workers(known)]
        return [worker for worker in workers if worker.pid in pids] or workers

    @staticmethod
    def _worker_pids() -> set[int]:
        return set(Worker.objects.filter(state=WorkerState.ALIVE).values_list("pid", flat=True))

    @staticmethod
    def _pick(processes: list[psutil.Process], disruption: Disruption) -> list[psutil.Process]:
        return processes[int(disruption.which * len(processes)) :][:1]

    def _signal_one(self, processes: list[psutil.Process], disruption: Disruption, by: signal.Signals) -> bool:
        return any(send(process, by) for process in self._pick(processes, disruption))

    def _kill_other(
        self, disruption: Disruption, find: Callable[[Cluster, Container[int]], list[psutil.Process]]
    ) -> bool:
        workers = self._worker_pids()
        return self._signal_one(self._some(disruption, lambda c: find(c, workers)), disruption, signal.SIGKILL)

    def _kill_cluster(self, disruption: Disruption) -> bool:
        killed = [send(process, signal.SIGKILL) for process in self._cluster(disruption).everybody()]
        return any(killed)

    def _terminate_group(self, disruption: Disruption) -> bool:
        try:
            os.killpg(self._cluster(disruption).process.pid, signal.SIGTERM)
        except ProcessLookupError:
            return False
        return True

    def _kill_web(self, disruption: Disruption) -> bool:
        web = self._clusters.web
        if web is None or not web.is_running:
            return False
        web.popen.kill()
        return True

    def _stop(self, processes: list[psutil.Process], disruption: Disruption) -> bool:
        stopped = [process for process in processes if send(process, signal.SIGSTOP)]
        began = time.time()

        def let_go(seconds: float) -> None:
            self._is_over.wait(seconds)
            for process in reversed(stopped):
                send(process, signal.SIGCONT)
            self.stops.append(Stop(frozenset(process.pid for process in stopped), began, time.time()))

        return bool(stopped) and self._last(let_go, disruption)

    def _last(self, deed: Callable[[float], None], disruption: Disruption) -> bool:
        """Do something that lasts beside what comes next."""

        def act() -> None:
            with suppress(psycopg.Error, sqlite3.Error, TimeoutError, httpx.TransportError):
                deed(disruption.seconds)

        self._lasting = [thread for thread in self._lasting if thread.is_alive()]
        thread = threading.Thread(target=act, daemon=True)
        self._lasting.append(thread)
        thread.start()
        return True

    # -- PostgreSQL ------------------------------------------------------------------------------------------------

    def _end_sessions(self, disruption: Disruption) -> bool:
        assert self._server is not None
        with psycopg.connect(self._server.url, autocommit=True) as server:
            ended = server.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND random() < %s",
                (0.2 + 0.8 * disruption.which,),
            ).fetchone()
        return ended is not None and ended[0] > 0

    def _restart(self, *, crash: bool) -> bool:
        # On the main thread: the server is told to end when the thread that started it ends.
        assert self._server is not None
        began = time.time()
        self._server.restart(crash=crash)
        self.held_up.append((began, time.time()))
        return True

    def _lock_runs(self, seconds: float) -> None:
        """Hold the rows of some runs, as somebody's long transaction would."""
        assert self._server is not None
        began = time.time()
        with psycopg.connect(self._server.url) as server:
            server.execute("SELECT id FROM agents_run WHERE finished_at IS NULL ORDER BY id LIMIT 10 FOR UPDATE")
            self._is_over.wait(seconds)
            server.rollback()
        self.held_up.append((began, time.time()))

    # -- SQLite ----------------------------------------------------------------------------------------------------

    def _hold_lock(self, seconds: float) -> None:
        """Keep everybody from writing, as somebody's long transaction would."""
        assert self._file is not None
        began = time.time()
        with closing(sqlite3.connect(self._file, timeout=10.0, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            self._is_over.wait(seconds)
            writer.execute("ROLLBACK")
        self.held_up.append((began, time.time()))

    def _checkpoint(self, disruption: Disruption) -> bool:
        """Empty the write-ahead log; whoever reads from it has to begin anew."""
        assert self._file is not None
        with closing(sqlite3.connect(self._file, timeout=2.0)) as writer:
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return True

    def _short_web(self, seconds: float) -> None:
        """Have a second web process for a moment, killed in the middle of its requests."""
        instance, port = self._clusters.instance, free_port()
        web: Process = instance.start("web", "--port", str(port), name="short-web", PORT=str(port))
        try:
            url = f"http://127.0.0.1:{port}/api/v1/"
            wait_until(lambda: self._is_over.is_set() or _answers(url), 30.0, "the short web process to answer")
            ends = time.monotonic() + seconds
            while time.monotonic() < ends and not self._is_over.is_set():
                _answers(url)
        finally:
            web.popen.kill()
            web.popen.wait()


def _answers(url: str) -> bool:
    try:
        httpx.get(url, timeout=5.0, trust_env=False)
    except httpx.TransportError:
        return False
    return True
