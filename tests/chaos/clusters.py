"""The processes of the product under chaos: clusters and web, started again when they end, found by what they are."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.instance import Instance, Process

CLUSTERS = 2
WORKERS = 2
LEASE_SECONDS = 4.0
GRACE_SECONDS = 2.0
SETTINGS = {
    "WORKERS": str(WORKERS),
    "LEASE_SECONDS": str(LEASE_SECONDS),
    "HEARTBEAT_SECONDS": "0.5",
    "GRACE_SECONDS": str(GRACE_SECONDS),
}
STOP_SECONDS = 60.0
ORPHAN_SECONDS = 20.0
"""How long what a cluster started may outlive it."""


@dataclass
class Cluster:
    """A cluster, whatever process it has at the moment."""

    process: Process

    @property
    def has_begun(self) -> bool:
        """Whether it has said that it runs."""
        return " workers" in self.process.log.read_text(errors="replace")

    def main(self) -> list[psutil.Process]:
        return _living([self.process.pid])

    def sentinel(self) -> list[psutil.Process]:
        try:
            return list(psutil.Process(self.process.pid).children())[:1]
        except psutil.NoSuchProcess:
            return []

    def workers(self, pids: Container[int]) -> list[psutil.Process]:
        """Give its worker processes, which are those that have registered as such under one of these ids."""
        return [child for child in self._below() if child.pid in pids]

    def pusher(self, workers: Container[int]) -> list[psutil.Process]:
        return self._others(workers)[-1:]

    def monitor(self, workers: Container[int]) -> list[psutil.Process]:
        return self._others(workers)[:1]

    def _others(self, workers: Container[int]) -> list[psutil.Process]:
        """Give the monitor and the pusher: who watches the database has more of it open than who rarely needs it."""
        shared = {link for sentinel in self.sentinel() for link in _links(sentinel)}
        others = [child for child in self._below() if child.pid not in workers]
        if len(others) != 2:
            return []
        return sorted(others, key=lambda child: len(_of_database(_links(child) - shared)))

    def _below(self) -> list[psutil.Process]:
        """Give the children of its sentinel."""
        with suppress(psutil.NoSuchProcess):
            return [child for sentinel in self.sentinel() for child in sentinel.children() if is_living(child)]
        return []

    def everybody(self) -> list[psutil.Process]:
        """Give all of its processes, those at the top first."""
        return [*self.main(), *self.process.children()]


class Clusters:
    """Keeps the clusters and the web process going, as a service manager would."""

    def __init__(self, instance: Instance, complain: Callable[[str], None]) -> None:
        self.instance = instance
        self.clusters: list[Cluster] = []
        self.web: Process | None = None
        self.restarts = 0
        self._complain = complain
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._ended: list[tuple[float, Process, list[psutil.Process]]] = []
        self._seen: dict[int, list[psutil.Process]] = {}
        self._thread = threading.Thread(target=self._supervise, daemon=True)

    def start(self) -> None:
        """Start everything, and return when the web process answers."""
        self.clusters = [Cluster(self._start_cluster()) for _ in range(CLUSTERS)]
        self.web = self.instance.start_web()
        self._thread.start()

    def stop(self) -> None:
        """Ask everything to end; an exit that is not clean is complained about."""
        self._is_over.set()
        self._thread.join()
        for cluster in self.clusters:
            cluster.process.popen.terminate()
        for cluster in self.clusters:
            code = _exit_code(cluster.process)
            # One that was told before it had begun has nothing to drain.
            if code != 0 and not (code == -signal.SIGTERM and not cluster.has_begun):
                self._complain(f"{cluster.process.name} was asked to stop and ended with {code}")
        if self.web is not None:
            self.web.stop()

    def wake_everybody(self) -> None:
        """Let what was stopped by a signal go on."""
        for cluster in self.clusters:
            for process in cluster.everybody():
                send(process, signal.SIGCONT)

    def _start_cluster(self) -> Process:
        return self.instance.start_worker("runs", **SETTINGS)

    def _supervise(self) -> None:
        while not self._is_over.wait(0.2):
            for cluster in self.clusters:
                self._seen[cluster.process.pid] = cluster.process.children() or self._seen.get(cluster.process.pid, [])
                if not cluster.process.is_running:
                    self._ended.append((time.monotonic(), cluster.process, self._seen.pop(cluster.process.pid)))
                    self.restarts += 1
                    cluster.process = self._start_cluster()
            if self.web is not None and not self.web.is_running:
                self.restarts += 1
                self.web = self.instance.start("web", "--port", str(self.instance.port), name="web")
            self._look_for_orphans()

    def _look_for_orphans(self) -> None:
        for entry in list(self._ended):
            ended_at, process, family = entry
            left = [member for member in family if is_living(member)]
            if not left:
                self._ended.remove(entry)
            elif time.monotonic() - ended_at > ORPHAN_SECONDS:
                self._complain(f"{[member.pid for member in left]} outlived their cluster {process.name}")
                self._ended.remove(entry)


def send(process: psutil.Process, by: signal.Signals) -> bool:
    """Send a signal to one process; False if it is gone."""
    try:
        process.send_signal(by)
    except psutil.NoSuchProcess:
        return False
    return True


def is_living(process: psutil.Process) -> bool:
    """Whether the process is there and more than a zombie."""
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _exit_code(process: Process) -> int | None:
    """Wait for the end of a process that was told to stop, and leave nothing of it behind; None if it goes on."""
    try:
        # Not told again: twice means at once.
        return process.popen.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    finally:
        process.stop(0.0)


def _links(process: psutil.Process) -> set[str]:
    """Give what a process has open."""
    try:
        return {os.readlink(entry) for entry in Path(f"/proc/{process.pid}/fd").iterdir()}
    except OSError:
        return set()


def _of_database(links: set[str]) -> list[str]:
    return [link for link in links if link.startswith("socket:") or ".sqlite3" in link]


def _living(pids: list[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return [process for process in found if is_living(process)]
