"""Schedules, watchers and the inbox folder in real worker processes that are killed again and again."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.instance import Instance, Process, wait_until

KILLS = 4


class Page(BaseHTTPRequestHandler):
    """A page with another text each time."""

    asked = 0

    def do_GET(self) -> None:
        if self.path == "/robots.txt":
            self.send_error(404)
            return
        Page.asked += 1
        body = f"Text {Page.asked}".encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def rows(instance: Instance, sql: str) -> list[tuple[Any, ...]]:
    """Ask the instance's database, past all of its processes."""
    if instance.database_url.startswith("postgres"):
        with psycopg.connect(instance.database_url) as server:
            return list(server.execute(sql.encode()))
    with closing(sqlite3.connect(urlsplit(instance.database_url).path[1:], timeout=20.0)) as file:
        return list(file.execute(sql))


def times(instance: Instance) -> list[datetime]:
    """Give when the schedule `tick` was due, of each of its events."""
    found = rows(instance, "SELECT event_id FROM agents_event WHERE name = 'schedule.tick' ORDER BY occurred_at")
    return [datetime.fromisoformat(id.partition(":")[2]) for (id,) in found]


def has_more_than(instance: Instance, count: int) -> bool:
    return len(times(instance)) > count


def kill_workers(instance: Instance, cluster: Process) -> Iterator[int]:
    """Kill all worker processes at once, in whatever they are doing; gives their ids."""
    known = {pid for (pid,) in rows(instance, "SELECT pid FROM agents_worker")}
    for child in cluster.children():
        if child.pid in known:
            os.kill(child.pid, signal.SIGKILL)
            yield child.pid


def test_each_second_fires_once_although_workers_are_killed(instance: Instance) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    instance.start_web()
    api = instance.client(instance.token(scopes=("read", "write", "admin")))
    tick = {"name": "tick", "timing": "cron", "cron": "* * * * * *", "catch_up": "all", "catch_up_limit": 100}
    made = api.post("schedules", json=tick)
    assert made.status_code == 201, made.text
    inbox = instance.directory / "inbox" / "default"
    inbox.mkdir(parents=True)
    cluster = instance.start_worker(WORKERS="2", ALLOWED_NETWORKS="127.0.0.0/8", INBOX_FOLDER=str(inbox.parent))
    wait_until(lambda: len(times(instance)) > 1, 60.0, "the first firings")
    killed: set[int] = set()
    for number in range(KILLS):
        (inbox / f"{number}.txt").write_text(f"Text {number}.")
        killed |= set(kill_workers(instance, cluster))
        wait_until(partial(has_more_than, instance, len(times(instance)) + 1), 60.0, "firings after a kill")
    assert len(killed) >= KILLS
    fired = times(instance)
    assert fired == [fired[0] + timedelta(seconds=number) for number in range(len(fired))]

    received = "SELECT count(*), count(DISTINCT event_id) FROM agents_event WHERE name = 'file.received'"
    wait_until(lambda: rows(instance, received) == [(KILLS, KILLS)], 20.0, "the files")
    assert [path.name for path in inbox.iterdir()] == ["taken"]

    watcher: dict[str, Any] = {"name": "page", "timing": "interval", "seconds": 3600, "kind": "url"}
    watcher["target"] = {"url": f"http://127.0.0.1:{server.server_address[1]}/"}
    assert api.post("watchers", json=watcher).status_code == 201
    wait_until(lambda: api.get("watchers/page").json()["looked_at"], 20.0, "the first look")
    assert api.post("watchers/page/look").status_code == 202
    changes = "SELECT data FROM agents_event WHERE name = 'watcher.page'"
    wait_until(lambda: rows(instance, changes), 20.0, "the change")
    assert Page.asked == 2
    began = time.monotonic()
    api.close()
    assert cluster.stop() == 0
    assert time.monotonic() - began < 20
    server.shutdown()
    server.server_close()
