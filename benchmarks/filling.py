"""A database that has been in use for long: so many finished runs with their steps, events and messages.

Filled by the database itself, in the order of time, as it would have happened; a million runs take a minute or two.
"""

# ruff: noqa: S608 (only names and numbers of this file go into the statements)

from __future__ import annotations

import time
from datetime import timedelta

from django.db import connection, transaction

from agents.engine.database_clock import database_now
from agents.models import Workspace

CHUNK = 100_000
SPACING_MS = 5_000
"""A run every five seconds: a million of them reach two months back."""
STEPS, EVENTS = 1, 3
SUB_RUN_EVERY, FAILED_EVERY, TAGGED_EVERY = 10, 50, 20
GOAL = '{"goal":"Compare the offers of three suppliers and write a short summary with the sources."}'
RESULT = '{"answer":"' + "The second supplier is cheapest for small orders. " * 4 + '"}'

# Ids are UUIDs of version 7, as the product makes them: their first twelve digits are the time in milliseconds.
POSTGRESQL = f"""
SELECT n, to_timestamp(ms / 1000.0) AS at, ms * 1000 AS rank,
 (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(n & 4095), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid AS id
FROM (SELECT n, %s + n * {SPACING_MS} AS ms FROM generate_series(%s::bigint, %s::bigint) AS numbers(n)) AS moments
"""
SQLITE = f"""
WITH RECURSIVE moments(base, n, last) AS (
 SELECT %s, %s, %s UNION ALL SELECT base, n + 1, last FROM moments WHERE n < last)
SELECT n, strftime('%%Y-%%m-%%d %%H:%%M:%%f', ms / 1000.0, 'unixepoch') AS at, ms * 1000 AS rank,
 printf('%%012x7%%03x8%%015x', ms, n & 4095, n) AS id
FROM (SELECT n, base + n * {SPACING_MS} AS ms FROM moments)
"""
RUNS = f"""
INSERT INTO agents_run (id, workspace_id, workflow, parent_id, root_id, parent_key, depth, status, reason, wanted,
 priority, rank, input, output, epoch, wakes, last_event, steps_done, input_tokens, output_tokens, cost_microusd,
 source, tags, idempotency_key, request_digest, created_at, started_at, finished_at)
SELECT f.id, %s, 'bench_noops', p.id, p.id, '', 0,
 CASE WHEN f.n %% {FAILED_EVERY} = 1 THEN 'failed' ELSE 'succeeded' END,
 '', '', 0, f.rank, %s, %s, 1, 0, {EVENTS}, {STEPS}, 100, 50, 20, 'api', t.tags, '', '', f.at, f.at, f.at
FROM filled f LEFT JOIN filled p ON p.n = f.n - 1 AND f.n %% {SUB_RUN_EVERY} = 0
 JOIN tags t ON t.is_tagged = (CASE WHEN f.n %% {TAGGED_EVERY} = 0 THEN 1 ELSE 0 END)
"""
STEP = """
INSERT INTO agents_step (run_id, key, kind, name, label, status, effect, attempt, digest, outcome, superseded,
 input_tokens, output_tokens, started_at, finished_at)
SELECT id, 'noop#' || %s, 'step', 'noop', '', 'succeeded', 'none', 1, '', %s, FALSE, 50, 25, at, at FROM filled
"""
EVENT = """
INSERT INTO agents_runevent (run_id, number, kind, at, data)
SELECT id, %s, 'step_finished', at, '{"key":"noop#0","name":"noop"}' FROM filled
"""
MESSAGES = f"""
INSERT INTO agents_inbox (run_id, name, token, created_at, consumed_at)
SELECT id, 'call:bench_noops#0', n, at, at FROM filled WHERE n %% {SUB_RUN_EVERY} = {SUB_RUN_EVERY - 1}
"""


def fill(rows: int) -> float:
    """Insert so many finished runs into the default workspace, older than any other; give the seconds it took."""
    began = time.monotonic()
    workspace = Workspace.objects.get(slug="default")
    newest = database_now() - timedelta(minutes=1)
    base = int(newest.timestamp() * 1000) - rows * SPACING_MS
    for first in range(1, rows + 1, CHUNK):
        with transaction.atomic():
            _fill_part(workspace.pk, base, first, min(first + CHUNK - 1, rows))
    _settle()
    return time.monotonic() - began


def _fill_part(workspace: int, base: int, first: int, last: int) -> None:
    is_sqlite = connection.vendor == "sqlite"
    tags = "text" if is_sqlite else "jsonb"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE filled AS {SQLITE if is_sqlite else POSTGRESQL}", [base, first, last])
        cursor.execute("CREATE UNIQUE INDEX filled_by_number ON filled (n)")
        cursor.execute(f"CREATE TEMP TABLE tags (is_tagged int, tags {tags})")
        cursor.execute("INSERT INTO tags VALUES (0, '[]'), (1, '[\"nightly\"]')")
        cursor.execute(RUNS, [workspace, GOAL, RESULT])
        for number in range(STEPS):
            cursor.execute(STEP, [str(number), RESULT])
        for number in range(1, EVENTS + 1):
            cursor.execute(EVENT, [number])
        cursor.execute(MESSAGES, [])
        cursor.execute("DROP TABLE filled")
        cursor.execute("DROP TABLE tags")


def _settle() -> None:
    """Do what the database does by itself in the course of time, so that it does not do it while we measure."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.execute("ANALYZE")
            return
        for table in ("agents_run", "agents_step", "agents_runevent", "agents_inbox"):
            cursor.execute(f"VACUUM (ANALYZE) {table}")
        cursor.execute("CHECKPOINT")
