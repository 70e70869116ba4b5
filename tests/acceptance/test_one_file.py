"""Six processes write to one SQLite file as fast as they can: nobody ever hears of a lock."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.clients import log_in
from tests.instance import Instance, wait_until
from tests.world import World

SECONDS = 4.0
WORKERS = 4
LOCKED = re.compile(r"locked|did not get to this in time|Traceback")


def start_second_web(instance: Instance) -> str:
    """Start another web process on the same file, as behind a load balancer; give its address."""
    other = Instance(instance.directory / "second", instance.database_url, dict(instance.environment))
    other.environment["VAR_DIR"] = str(instance.var_dir)
    instance.processes.append(other.start_web())
    return other.url


def use_api(base_url: str, token: str, seed: int, ends: float) -> Counter[int]:
    """Start, cancel, list and read runs until the time is up; give how often each status was answered."""
    random = Random(seed)
    statuses: Counter[int] = Counter()
    headers = {"Authorization": f"Bearer {token}"}
    known: list[str] = []
    with httpx.Client(base_url=base_url, headers=headers, timeout=30.0, trust_env=False) as api:
        while time.monotonic() < ends:
            body = {"workflow": "chain", "input": {"steps": random.randint(1, 4), "seconds": 0.01}}
            answers = [api.post("runs", json=body)]
            known.append(answers[0].json()["id"])
            if random.random() < 0.3:
                answers.append(api.post(f"runs/{random.choice(known)}/cancel"))
            answers += [api.get("runs"), api.get(f"runs/{random.choice(known)}/events")]
            statuses.update(answer.status_code for answer in answers)
    return statuses


@pytest.mark.fault(17)
def test_nobody_hears_of_a_lock(instance: Instance, tmp_path: Path) -> None:
    world = World(instance, tmp_path)
    instance.environment |= {"WORKFLOW_MODULES": "tests.workflows"}
    instance.start_web()
    webs = [instance.url, start_second_web(instance)]
    world.start_workers(WORKERS=str(WORKERS))
    alive = "SELECT id FROM agents_worker WHERE state='alive'"
    wait_until(lambda: len(world.rows(alive)) == WORKERS, 60.0, "the workers")
    token = instance.token()
    ends = time.monotonic() + SECONDS
    with ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(use_api, f"{webs[n % 2]}/api/v1/", token, n, ends) for n in range(6)]
        # Sessions are written too.
        while time.monotonic() < ends:
            log_in(instance).close()
        statuses = sum((client.result() for client in clients), Counter())
    assert set(statuses) <= {200, 202}, statuses
    world.wait_for_the_end()
    starts = world.rows("SELECT data FROM agents_runevent WHERE kind='run_started'")
    assert len({json.loads(data)["worker"] for (data,) in starts}) > 1, "one process did everything"
    assert set(world.statuses()) <= {"succeeded", "cancelled"}
    assert world.events_have_no_gaps()
    wait_until(partial(are_quiet, world), 10.0, "the last lines")
    for process in instance.processes:
        told = [line for line in process.log.read_text(errors="replace").splitlines() if LOCKED.search(line)]
        assert told == [], process.name


def are_quiet(world: World) -> bool:
    return not world.busy_pids()
