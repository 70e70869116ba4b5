"""The SQL of the journal for PostgreSQL, and the columns that its statements take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from operator import attrgetter

from agents.engine.journal import postgres_arrays as arrays

RUN_COUNTERS = {
    "id": "uuid",
    "wakes": "int",
    "last_event": "int",
    "steps_done": "int",
    "input_tokens": "bigint",
    "output_tokens": "bigint",
    "cost_microusd": "bigint",
}
RUN_COLUMNS = {
    **RUN_COUNTERS,
    "status": "text",
    "reason": "text",
    "wanted": "text",
    "worker_id": "bigint",
    "epoch": "int",
    "output": "text",
    "error": "text",
    "finished_at": "timestamptz",
}
NEW_RUN_COLUMNS = {
    "id": "uuid",
    "workspace_id": "bigint",
    "agent_version_id": "bigint",
    "workflow": "text",
    "parent_id": "uuid",
    "parent_key": "text",
    "root_id": "uuid",
    "depth": "smallint",
    "priority": "smallint",
    "rank": "bigint",
    "input": "text",
    "created_at": "timestamptz",
    "tainted": "boolean",
    "tools": "text",
    "budget": "jsonb",
    "deadline_at": "timestamptz",
}
STEP_CHANGES = {
    "run_id": "uuid",
    "key": "text",
    "label": "text",
    "status": "text",
    "effect": "text",
    "attempt": "smallint",
    "attempts": "text",
    "digest": "text",
    "input": "text",
    "outcome": "text",
    "large": "uuid",
    "error": "text",
    "input_tokens": "int",
    "output_tokens": "int",
    "cost_microusd": "bigint",
    "finished_at": "timestamptz",
}
NEW_STEP = {**STEP_CHANGES, "kind": "text", "name": "text", "started_at": "timestamptz"}
_OF_PLAIN = "run_id key kind name label effect digest input outcome started_at finished_at"
PLAIN_STEP = {name: NEW_STEP[name] for name in _OF_PLAIN.split()}
STEP_KEY = {"run_id": "uuid", "key": "text"}
LARGE = {"id": "uuid", "run_id": "uuid", "data": "bytea"}
ARTIFACT = {
    "workspace_id": "bigint",
    "run_id": "uuid",
    "id": "uuid",
    "key": "text",
    "name": "text",
    "media_type": "text",
    "size": "bigint",
    "address": "text",
    "created_at": "timestamptz",
}
APPROVAL = {
    "workspace_id": "bigint",
    "run_id": "uuid",
    "id": "uuid",
    "key": "text",
    "kind": "text",
    "subject": "text",
    "tool": "text",
    "effect": "text",
    "why": "text",
    "arguments": "text",
    "form": "text",
    "binding": "text",
    "asked_at": "timestamptz",
    "expires_at": "timestamptz",
}
CALL = {
    "run_id": "uuid",
    "id": "uuid",
    "key": "text",
    "attempt": "smallint",
    "tool": "text",
    "timeout": "float8",
    "memory": "int",
    "is_approved": "boolean",
    "queued_at": "timestamptz",
}
EVENT_COLUMNS = {"run_id": "uuid", "number": "int", "kind": "text", "at": "timestamptz", "data": "text"}
EMITTED_COLUMNS = {
    "workspace_id": "bigint",
    "cause_id": "uuid",
    "name": "text",
    "data": "text",
    "source": "text",
    "occurred_at": "timestamptz",
    "tainted": "boolean",
    "event_id": "text",
}
LISTENING = {
    "workspace_id": "bigint",
    "run_id": "uuid",
    "key": "text",
    "pattern": "text",
    "filter": "text",
    "told": "text",
}
WAIT_COLUMNS = {
    "run_id": "uuid",
    "kind": "text",
    "key": "text",
    "name": "text",
    "due_at": "timestamptz",
    "needed": "int",
    "data": "text",
}
MESSAGE_COLUMNS = {"run_id": "uuid", "name": "text", "token": "text", "data": "text"}


def _insert(table: str, columns: Mapping[str, str], constants: str = "", values: str = "") -> str:
    """Give the statement that inserts rows of a table of arrays, with further columns of constant values."""
    names = ", ".join(columns)
    further = (f", {constants}", f", {values}") if constants else ("", "")
    return f"INSERT INTO {table} ({names}{further[0]}) SELECT {names}{further[1]} FROM {arrays.table(columns)}"  # noqa: S608 (names of our own)


def _update(table: str, columns: Mapping[str, str], key: Sequence[str], where: str) -> str:
    """Give the statement that updates rows by a table of arrays; an input or output that is None stays as it is."""
    kept = ("input", "output")
    values = (
        f"{name}={f'coalesce(v.{name}, t.{name})' if name in kept else f'v.{name}'}"
        for name in columns
        if name not in key
    )
    return f"UPDATE {table} t SET {', '.join(values)} FROM {arrays.table(columns)} WHERE {where}"  # noqa: S608 (names of our own)


@cache
def together(statements: tuple[str, ...]) -> str:
    """Give one statement that does what these do, none of which sees what another has done."""
    *first, last = statements
    parts = ", ".join(f"s{index} AS ({statement})" for index, statement in enumerate(first))
    return f"WITH {parts} {last}" if parts else last


LOCK_RUNS = """
SELECT id, status, reason, wanted, worker_id, epoch, wakes, last_event, steps_done, input_tokens, output_tokens,
 cost_microusd, NULL, NULL, finished_at
FROM agents_run WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""
UPDATE_RUNS = _update("agents_run", RUN_COLUMNS, ("id",), "t.id = v.id")
COUNT_RUNS = _update("agents_run", RUN_COUNTERS, ("id",), "t.id = v.id")
INSERT_RUNS = _insert(
    "agents_run",
    NEW_RUN_COLUMNS,
    "status, reason, wanted, epoch, wakes, last_event, steps_done, input_tokens, output_tokens, cost_microusd, source,"
    " tags, idempotency_key, request_digest",
    "'queued', '', '', 0, 0, 1, 0, 0, 0, 0, 'run', '[]'::jsonb, '', ''",
)
INSERT_STEPS = _insert("agents_step", NEW_STEP, "superseded", "FALSE")
INSERT_PLAIN_STEPS = _insert(
    "agents_step",
    PLAIN_STEP,
    "status, attempt, input_tokens, output_tokens, superseded",
    "'succeeded', 1, 0, 0, FALSE",
)
UPDATE_STEPS = _update(
    "agents_step",
    STEP_CHANGES,
    ("run_id", "key"),
    "t.run_id = v.run_id AND t.key = v.key AND NOT t.superseded",
)
INSERT_EVENTS = _insert("agents_runevent", EVENT_COLUMNS)
INSERT_EMITTED = _insert("agents_event", EMITTED_COLUMNS) + " ON CONFLICT DO NOTHING"
LISTEN = f"""
INSERT INTO agents_listener AS l (workspace_id, run_id, key, pattern, filter, has_looked_back)
SELECT workspace_id, run_id, key, pattern, filter, FALSE FROM {arrays.table(LISTENING)}
WHERE NOT EXISTS (
 SELECT 1 FROM agents_inbox i WHERE i.run_id=v.run_id AND i.name=v.told AND i.consumed_at IS NULL)
ON CONFLICT (run_id, key) DO UPDATE SET pattern=excluded.pattern, filter=excluded.filter, has_looked_back=FALSE
WHERE (l.pattern, l.filter) IS DISTINCT FROM (excluded.pattern, excluded.filter)
"""  # noqa: S608 (names of our own)
UNLISTEN = f"""
DELETE FROM agents_listener l USING {arrays.table(STEP_KEY)} WHERE l.run_id=v.run_id AND l.key=v.key
"""  # noqa: S608 (names of our own)
INSERT_ARTIFACTS = _insert("agents_artifact", ARTIFACT)
INSERT_APPROVALS = _insert("agents_approval", APPROVAL, "status, comment", "'open', ''")
SUPERSEDE_STEPS = f"""
UPDATE agents_step s SET superseded=TRUE FROM {arrays.table(STEP_KEY)}
WHERE s.run_id=v.run_id AND s.key=v.key AND NOT s.superseded
"""  # noqa: S608 (names of our own)
DROP_PARTIALS = f"""
DELETE FROM agents_partial p USING {arrays.table(STEP_KEY)} WHERE p.run_id=v.run_id AND p.key=v.key
"""  # noqa: S608 (names of our own)
INSERT_LARGES = _insert("agents_largeoutcome", LARGE)
WITHDRAW_APPROVALS = f"""
UPDATE agents_approval a SET status='withdrawn' FROM {arrays.table(STEP_KEY)}
WHERE a.run_id=v.run_id AND a.key=v.key AND a.status='open'
"""  # noqa: S608 (names of our own)
INSERT_CALLS = _insert("agents_processcall", CALL, "host", "''")
INSERT_TASKS = (
    "INSERT INTO django_q_ormq (key, payload, lock) SELECT 'tools', v.payload, %s::timestamptz"
    " FROM unnest(%s::text[]) AS v(payload)"
)
DROP_CALLS = "DELETE FROM agents_processcall WHERE id = ANY(%s)"
TAINT_RUNS = "UPDATE agents_run SET tainted=TRUE WHERE id = ANY(%s) AND NOT tainted"
TAINT_STEPS = f"""
UPDATE agents_step s SET tainted=TRUE FROM {arrays.table(STEP_KEY)}
WHERE s.run_id=v.run_id AND s.key=v.key AND NOT s.superseded
"""  # noqa: S608 (names of our own)
INSERT_WAITS = _insert("agents_wait", WAIT_COLUMNS, "created_at", "%s::timestamptz")
INSERT_MESSAGES = (
    _insert("agents_inbox", MESSAGE_COLUMNS, "created_at", "%s::timestamptz")
    + " ON CONFLICT (run_id, token) DO NOTHING"
)
counters_of = attrgetter(*RUN_COUNTERS)
columns_of_run = attrgetter(*RUN_COLUMNS)
# The run that a step belongs to comes first.
columns_of_new_step = attrgetter(*[*NEW_STEP][1:])
columns_of_plain_step = attrgetter(*[*PLAIN_STEP][1:])
changes_of_step = attrgetter(*[*STEP_CHANGES][1:])
columns_of_artifact = attrgetter(*[*ARTIFACT][2:])
columns_of_approval = attrgetter(*[*APPROVAL][2:])
columns_of_call = attrgetter(*[*CALL][1:])
CLAIM = """
WITH c AS MATERIALIZED (
 SELECT id FROM agents_run WHERE status='queued' AND NOT suspect AND rank >= %s
 AND EXISTS (SELECT 1 FROM agents_worker w WHERE w.id = %s AND w.state IN ('alive', 'draining'))
 ORDER BY rank LIMIT %s FOR NO KEY UPDATE SKIP LOCKED)
UPDATE agents_run r SET status='running', worker_id=%s, epoch=epoch+1, reason='',
 started_at=coalesce(started_at, %s) FROM c WHERE r.id = c.id
RETURNING r.id, epoch, workspace_id, workflow, agent_version_id, input, parent_id, parent_key, root_id, depth,
 priority, wakes, wanted, last_event, created_at, suspect, tainted, tools, budget::text, deadline_at,
 rank
"""
CLAIM_SUSPECT = CLAIM.replace("NOT suspect", "suspect")
INTEREST = 0x6C69_6665
"""Of the advisory locks: what those have who look whether somebody wants an event of a run's life (interest.py)."""
_HOLD = f"pg_try_advisory_xact_lock_shared({INTEREST})"
HOLD_INTEREST = f"SELECT {_HOLD}"
NOTE_BATCH = f"UPDATE agents_worker SET batch=%s WHERE id=%s AND batch<%s RETURNING {_HOLD}"  # noqa: S608 (our own)
TELL = "SELECT pg_notify(channel, '') FROM unnest(%s::text[]) AS v(channel)"
AWAIT_INTEREST = f"SELECT pg_advisory_xact_lock({INTEREST})"
TOLD_COLUMNS = {"workspace_id": "bigint", "name": "text", "pattern": "text"}
# OFFSET keeps the planner from reading all subscriptions there are into a hash table, to look up three.
WANTED = f"""
SELECT DISTINCT v.workspace_id, v.name
FROM json_to_recordset(%s::json) AS v({", ".join(f"{name} {type}" for name, type in TOLD_COLUMNS.items())})
WHERE EXISTS (SELECT 1 FROM agents_subscription s WHERE s.workspace_id=v.workspace_id AND s.pattern=v.pattern OFFSET 0)
OR EXISTS (SELECT 1 FROM agents_listener l WHERE l.workspace_id=v.workspace_id AND l.pattern=v.pattern OFFSET 0)
OR EXISTS (SELECT 1 FROM agents_webhookendpoint e
 WHERE e.workspace_id=v.workspace_id AND jsonb_exists(e.events, v.pattern) OFFSET 0)
"""  # noqa: S608 (names of our own)
HISTORY_STEPS = """
SELECT run_id, key, kind, name, started_at, label, status, effect, attempt, attempts, digest,
 CASE WHEN status='succeeded' AND kind NOT IN ('call', 'each') THEN NULL ELSE input END, outcome, large, error,
 input_tokens, output_tokens, cost_microusd, finished_at, TRUE
FROM agents_step WHERE NOT superseded AND run_id = ANY(%s)
"""
