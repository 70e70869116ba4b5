"""Watchers that lose their connection again and again, while runs write: each sees every event once, in order."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

from tests.instance import CHECKOUT, Instance, Process

DROPS = 50
EVENTS = 1000
RUNS = 4
PATIENCE = 20.0

# Writes logs as workers do, from a process of its own: some events per commit, pauses between.
WRITER = f"""
import random, sys, time
import django
django.setup()
from agents.models import Run, RunStatus
from tests.factories import add_events
generator = random.Random(7)
runs = list(Run.objects.filter(workflow="live_resume").order_by("id"))
left = {{run.pk: {EVENTS} for run in runs}}
while any(left.values()):
    for run in runs:
        count = min(left[run.pk], generator.choice((1, 1, 2, 5, 20)))
        left[run.pk] -= count
        if count:
            add_events(run, *["progress"] * count, text="x" * generator.choice((10, 200)))
    time.sleep(generator.choice((0, 0.002, 0.01)))
for run in runs:
    add_events(run, "run_succeeded", status=RunStatus.SUCCEEDED)
"""
MAKE_RUNS = f"""
import django
django.setup()
from agents.models import Workspace
from tests.factories import make_run
workspace = Workspace.objects.get(slug="default")
print(*(make_run(workspace, workflow="live_resume").pk for _ in range({RUNS})))
"""


@pytest.fixture
def web(instance: Instance) -> Process:
    return instance.start_web()


@pytest.mark.fault(33)
@pytest.mark.timeout(170)
def test_dropped_and_resumed_fifty_times_under_load(instance: Instance, web: Process) -> None:
    runs = _python(instance, MAKE_RUNS).split()
    cookies = _log_in(instance)
    token = instance.token()
    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(_python, instance, WRITER)
        seen = asyncio.run(_watch(instance, runs, cookies, token))
        writing.result()
    expected = list(range(1, EVENTS + 2))
    for name, (numbers, drops) in seen.items():
        assert numbers == expected, f"{name}: {_difference(numbers, expected)}"
        assert drops >= DROPS, f"{name} was dropped {drops} times only"
    assert web.is_running


async def _watch(instance: Instance, runs: list[str], cookies: str, token: str) -> dict[str, tuple[list[int], int]]:
    watchers = {}
    for number, run in enumerate(runs):
        watchers[f"websocket {number}"] = _by_socket(instance, run, cookies, random.Random(number))
        watchers[f"stream {number}"] = _by_stream(instance, run, token, random.Random(number))
    async with asyncio.timeout(150):
        found = await asyncio.gather(*watchers.values())
    return dict(zip(watchers, found, strict=True))


async def _by_socket(instance: Instance, run: str, cookies: str, generator: random.Random) -> tuple[list[int], int]:
    """Read a few messages, drop the connection, rudely or not, and go on after the last number."""
    numbers: list[int] = []
    drops = 0
    address = f"{instance.url.replace('http', 'ws')}/ws/runs/{run}"
    while True:
        after = numbers[-1] if numbers else 0
        async with connect(
            f"{address}?after={after}",
            additional_headers={"Cookie": cookies},
            origin=Origin(instance.url),
            proxy=None,
            # With a bounded queue the client would not read the answer to its own closing.
            max_queue=None,
        ) as socket:
            try:
                for _ in range(_messages(generator, drops)):
                    message = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
                    if message["type"] == "event":
                        numbers.append(message["number"])
            except websockets.ConnectionClosedOK:
                # Code 1000: all has been said.
                return numbers, drops
            drops += 1
            if generator.random() < 0.5:
                _cut(socket)


def _cut(socket: ClientConnection) -> None:
    socket.transport.abort()


async def _by_stream(instance: Instance, run: str, token: str, generator: random.Random) -> tuple[list[int], int]:
    numbers: list[int] = []
    drops = 0
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    async with httpx.AsyncClient(base_url=f"{instance.url}/api/v1/", timeout=PATIENCE, trust_env=False) as client:
        while True:
            if numbers:
                headers["Last-Event-ID"] = str(numbers[-1])
            left = _messages(generator, drops)
            async with client.stream("GET", f"runs/{run}/events", headers=headers) as answer:
                if answer.status_code == 204:
                    return numbers, drops
                assert answer.status_code == 200
                async for line in answer.aiter_lines():
                    if line.startswith("id: "):
                        numbers.append(int(line.removeprefix("id: ")))
                    left -= not line
                    if left < 0:
                        break
            drops += 1


def _messages(generator: random.Random, drops: int) -> int:
    """Say after how many messages to drop: soon at first, so that all drops happen while the run writes."""
    return generator.randint(1, EVENTS // DROPS) if drops < DROPS else EVENTS * 2


def _log_in(instance: Instance) -> str:
    """Make a session for the administrator and give the cookie."""
    script = """
import django
django.setup()
from django.conf import settings
from django.test import Client
from agents.models import User
client = Client()
client.force_login(User.objects.get(username="admin"))
print(settings.SESSION_COOKIE_NAME + "=" + client.cookies[settings.SESSION_COOKIE_NAME].value)
"""
    return _python(instance, script).split()[-1]


def _python(instance: Instance, script: str) -> str:
    """Run a script in the instance's environment, as another process beside it."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=CHECKOUT,
        env=instance._environment({}),
        capture_output=True,
        text=True,
        check=False,
        timeout=160,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _difference(numbers: list[int], expected: list[int]) -> str:
    missing = sorted(set(expected) - set(numbers))
    return f"{len(numbers)} events, missing {missing[:10]}, {len(numbers) - len(set(numbers))} twice"
