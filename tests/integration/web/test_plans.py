"""No page and no request reads a whole table of runs or of steps, however long an instance has been in use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.integration.web.conftest import As

if TYPE_CHECKING:
    from agents.models import Run, Workspace

LARGE = ("agents_run", "agents_step", "agents_runevent", "agents_wait", "agents_inbox")
SCAN = re.compile(rf"(?:SCAN|Seq Scan on) (?:{'|'.join(LARGE)})\b(?: USING (?:COVERING )?INDEX (\w+))?")
OF_FEW = ("run_queue", "run_suspects", "run_worker", "run_waiting", "run_failed", "run_deadline", "wait_due")
"""Indexes that hold only what is going on, or has failed: to read one of them is not to read the table."""


@contextmanager
def _no_scans() -> Iterator[None]:
    """Look at the plans of all statements that are sent within. Small tables are read whole; then it tells nothing."""
    with CaptureQueriesContext(connection) as sent:
        yield
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET enable_seqscan = off")
        for query in sent.captured_queries:
            if query["sql"].startswith(("SELECT", "UPDATE", "DELETE")):
                found = [line for line in _plan(cursor, query["sql"]) if _is_scan(line)]
                assert found == [], f"{found} in {query['sql']}"
        if connection.vendor == "postgresql":
            cursor.execute("SET enable_seqscan = on")


def _is_scan(line: str) -> bool:
    found = SCAN.search(line)
    return found is not None and found[1] not in OF_FEW


def _plan(cursor: Any, sql: str) -> list[str]:
    cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
    return [str(row[-1]).strip() for row in cursor.fetchall()]


PAGES = ["", "runs/", "runs/?below=1", "runs/?agent=researcher", "runs/?status=waiting", "runs/?status=failed"]
PAGES += ["runs/?status=active", "agents/", "agents/researcher/", "workers/", "approvals/", "threads/"]
RUN_PAGES = ["", "?step=think%230", "parts/", "files/", "results/"]


def test_pages_read_no_whole_table(as_: As, finished: Run) -> None:
    client = as_("member")
    base = "/w/team/"
    for path in [*(f"{base}{page}" for page in PAGES), *(f"{base}runs/{finished.pk}/{page}" for page in RUN_PAGES)]:
        client.get(path)  # What is looked up once is not counted.
        with _no_scans():
            assert client.get(path).status_code == 200, path


def test_requests_read_no_whole_table(workspace: Workspace, finished: Run) -> None:
    from tests.factories import make_client, make_token

    client = make_client(make_token(workspace))
    base = f"/api/v1/runs/{finished.pk}"
    paths = [
        "",
        "/steps",
        "/steps?superseded=true",
        "/events",
        "/tree",
        "/artifacts",
        "/artifacts?tree=true",
        "/results",
    ]
    for path in [*(f"{base}{path}" for path in paths), "/api/v1/runs", "/api/v1/runs?agent=researcher"]:
        with _no_scans():
            assert client.get(path).status_code == 200, path


def test_what_workers_look_at_all_the_time_is_found_by_indexes(finished: Run) -> None:
    from agents.engine import control, pausing, trees, verdicts, waking
    from agents.engine.admission import give_places
    from agents.engine.turns import give_turns

    looks: list[Callable[[], object]] = [waking.wake_due, verdicts.expire_due, give_turns, give_places]
    looks += [trees.end_overdue, lambda: waking.wake_for_workflows(["react"]), control.cancel_left_over]
    for look in [*looks, pausing.pause_left_over]:
        with _no_scans():
            look()
