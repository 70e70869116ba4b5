"""From the commit of an event to the websocket client that watches its run."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.test import Client
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

from agents.engine.database_clock import database_now
from agents.engine.notify import announce
from agents.models import Run, RunEvent, User
from agents.services.runs import start_run
from benchmarks.harness import Bench
from benchmarks.report import Figures, both, milliseconds, percentile

TARGETS = both({"event_ms_p50": "<= 20"})
EVENTS = 200
SECONDS = 60


def measure(bench: Bench) -> Figures:
    bench.instance.start_web()
    tomorrow = database_now() + timedelta(days=1)
    # It waits, so nobody else writes its log.
    run = start_run(workspace=bench.workspace, workflow="bench_nothing", input={}, not_before=tomorrow)
    taken = asyncio.run(_watch(bench, run, _session()))
    return {
        "events": len(taken),
        "event_ms_p50": milliseconds(percentile(taken, 50)),
        "event_ms_p95": milliseconds(percentile(taken, 95)),
    }


def _session() -> str:
    """Log the administrator in; give the cookie."""
    browser = Client()
    browser.force_login(User.objects.get(username="admin"))
    return f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"


async def _watch(bench: Bench, run: Run, cookie: str) -> list[float]:
    """Give the seconds from each commit to its arrival."""
    address = f"{bench.instance.url.replace('http', 'ws', 1)}/ws/runs/{run.id}"
    committed: dict[int, float] = {}
    async with connect(address, origin=Origin(bench.instance.url), additional_headers={"Cookie": cookie}) as socket:
        writer = threading.Thread(target=_write_events, args=(run, committed))
        writer.start()
        async with asyncio.timeout(SECONDS + EVENTS):
            arrived = await _arrivals(socket)
        await asyncio.to_thread(writer.join)
    return [arrived[number] - at for number, at in committed.items()]


async def _arrivals(socket: ClientConnection) -> dict[int, float]:
    """Give when each event arrived, by its number, up to the last."""
    arrived: dict[int, float] = {}
    # The log begins with run_queued, which is number 1.
    while EVENTS + 1 not in arrived:
        message = json.loads(await socket.recv())
        if message["type"] == "event":
            arrived[message["number"]] = time.monotonic()
    return arrived


def _write_events(run: Run, committed: dict[int, float]) -> None:
    """Append events one by one, as a worker's journal would; note when each commit began."""
    for number in range(2, EVENTS + 2):
        # At any point of the polling loops, not always at the same one.
        time.sleep(random.uniform(0.03, 0.1))
        with transaction.atomic():
            Run.objects.filter(pk=run.pk).update(last_event=F("last_event") + 1)
            RunEvent.objects.create(run=run, number=number, kind="progress", at=database_now(), data={"name": "tick"})
            announce(live=True)
            committed[number] = time.monotonic()
