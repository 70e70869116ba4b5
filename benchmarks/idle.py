"""What an instance costs while it has nothing to do: one web process and one worker of each queue."""

from __future__ import annotations

import time
from functools import partial

from benchmarks.harness import Bench, cpu_seconds
from benchmarks.report import Figures, both
from tests.instance import Process, wait_until

TARGETS = both({"percent_of_a_core": "<= 4"})
SETTLE_SECONDS = 5.0
SECONDS = 20.0
CLUSTER_CHILDREN = 4
"""django-q2's sentinel, pusher, monitor and one worker: they are there when the start-up is paid for."""


def measure(bench: Bench) -> Figures:
    processes = {
        "web": bench.instance.start_web(),
        "runs": bench.start_worker(),
        "tools": bench.instance.start_worker("tools"),
    }
    for cluster in (processes["runs"], processes["tools"]):
        wait_until(partial(_is_complete, cluster), 60.0, "the cluster's processes")
    time.sleep(SETTLE_SECONDS)
    before = {name: cpu_seconds(process.pid) for name, process in processes.items()}
    time.sleep(SECONDS)
    used = {name: 100 * (cpu_seconds(process.pid) - before[name]) / SECONDS for name, process in processes.items()}
    parts = {f"percent_of_{name}": round(percent, 2) for name, percent in used.items()}
    return {"percent_of_a_core": round(sum(used.values()), 2), **parts}


def _is_complete(cluster: Process) -> bool:
    return len(cluster.children()) >= CLUSTER_CHILDREN
