"""Two hosts of workers on one PostgreSQL, one of which is cut off: how long until all its runs go on at the other.

Each host has a network namespace of its own and reaches the database by a cable that is pulled out, as far as this
process may make such; otherwise the proxy between holds all bytes back. On SQLite there is only one host.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection

from agents.models import Run, RunStatus, Worker, WorkerState
from benchmarks.harness import Bench, stamps_of
from benchmarks.report import Figures, Targets, percentile
from tests.instance import wait_until
from tests.proxy import Proxy, proxy_before

TARGETS: Targets = {"sqlite": {}, "postgresql": {"seconds_max": "<= 10"}}
RUNS = 100
STAMPS = 250
PAUSE = 0.1


@dataclass
class Host:
    """A machine of workers, as far as its network is concerned."""

    name: str
    proxy: Proxy
    namespace: str = ""
    link: str = ""
    within: list[str] = field(default_factory=list)

    def cut(self) -> None:
        if self.link:
            _ip("link", "set", self.link, "down")
        else:
            self.proxy.cut()

    def mend(self) -> None:
        if self.link:
            _ip("link", "set", self.link, "up")
        else:
            self.proxy.mend()


def measure(bench: Bench) -> Figures:
    if connection.vendor == "sqlite":
        return {}
    with ExitStack() as stack:
        north, south = (stack.enter_context(host(name, bench, n)) for n, name in enumerate(("north", "south")))
        start(bench, north)
        start(bench, south)
        bench.warm_up()
        runs = bench.queue_runs("bench_stamps", RUNS, stamps=STAMPS, seconds=PAUSE)
        among = Run.objects.filter(id__in=runs)
        wait_until(lambda: among.filter(steps_done__gt=2).count() == RUNS, 60.0, "all runs to be under way")
        north.cut()
        began = time.time()
        lost = list(among.filter(worker__host="north", status=RunStatus.RUNNING).values_list("id", flat=True))
        wait_until(lambda: not among.filter(worker__host="north", status=RunStatus.RUNNING).exists(), 60.0)
        north.mend()
        back = time.time()
        wait_until(lambda: is_back(began), 60.0, "the host to come back")
        returned = time.time() - back
        bench.wait_for_end(runs)
        taken = [next_step(run, began) for run in lost]
        return {
            "namespaces": float(bool(north.link)),
            "runs_of_the_cut": len(lost),
            "seconds_p50": round(percentile(taken, 50), 2),
            "seconds_max": round(max(taken), 2),
            "seconds_until_back": round(returned, 2),
        }


def start(bench: Bench, host: Host) -> None:
    folder = bench.instance.directory / f"var-{host.name}"
    bench.instance.start_worker(
        within=host.within, WORKERS="1", WORKER_HOST=host.name, DATABASE_URL=host.proxy.url, VAR_DIR=str(folder)
    )
    alive = Worker.objects.filter(state=WorkerState.ALIVE, host=host.name)
    wait_until(alive.exists, 60.0, f"the host {host.name}")


def is_back(since: float) -> bool:
    """Whether the host that was cut off has found that out and registered anew."""
    alive = Worker.objects.filter(host="north", state=WorkerState.ALIVE)
    return any(worker.started_at.timestamp() > since for worker in alive)


def next_step(run: UUID, cut: float) -> float:
    """Give after how many seconds the run's next recorded step started."""
    return next(stamp for stamp in stamps_of(run) if stamp > cut) - cut


@contextmanager
def host(name: str, bench: Bench, number: int) -> Iterator[Host]:
    """Give a host whose network can be cut, with whatever this process may use for that."""
    link, namespace = f"ags{os.getpid() % 10_000}{number}", f"agentsite-{os.getpid()}-{name}"
    ours, theirs = f"10.213.{number}.1", f"10.213.{number}.2"
    is_apart = _ip("netns", "add", namespace)
    if not is_apart:
        with proxy_before(bench.instance.database_url) as proxy:
            yield Host(name, proxy)
        return
    try:
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        _ip("addr", "add", f"{ours}/30", "dev", link)
        _ip("link", "set", link, "up")
        for command in (("addr", "add", f"{theirs}/30", "dev", "eth0"), ("link", "set", "eth0", "up")):
            _ip("-n", namespace, *command)
        with proxy_before(bench.instance.database_url, ours) as proxy:
            yield Host(name, proxy, namespace, link, ["ip", "netns", "exec", namespace])
    finally:
        bench.instance.stop()
        _ip("netns", "delete", namespace)


def _ip(*arguments: str) -> bool:
    return subprocess.run(["ip", *arguments], capture_output=True, check=False).returncode == 0  # noqa: S607
