"""The statements that a piece of the product sends, and how the database carries them out on the tables as they are.

An action is carried out, its statements are noted and its transaction is rolled back; then the same statements are sent
again in one transaction, each explained, and rolled back once more.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg
from django.db import connection, transaction

from agents.engine.journal.opening import open_store
from agents.engine.journal.store import Store

LARGE = ("agents_run", "agents_step", "agents_runevent", "agents_inbox")
"""The tables that grow with all that was ever done."""
MANY_ROWS = 20_000
"""So many rows looked at in one go are a scan: no statement needs them all."""
SCAN_MS = 250.0
"""SQLite does not tell how many rows it looked at; a statement that took so long looked at all of a large table."""
OURS = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)

Statement = tuple[str, Any]


@dataclass
class Explained:
    """How some statements were carried out together: milliseconds, pages of the database's cache, scans, plans."""

    milliseconds: float = 0.0
    pages: int = 0
    scans: int = 0
    plans: list[str] = field(default_factory=list)


class Recorder:
    """Takes the place of a store's connection: notes what is sent, and rolls back where the store would commit."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.sent: list[Statement] = []

    def execute(self, statement: str, parameters: Any = ()) -> Any:
        if OURS.match(statement):
            self.sent.append((statement, parameters))
        return self._inner.execute("ROLLBACK" if statement == "COMMIT" else statement, parameters)

    def executemany(self, statement: str, rows: Sequence[Any]) -> Any:
        self.sent += [(statement, row) for row in rows]
        return self._inner.executemany(statement, rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def sent_by_store(action: Callable[[Store], object]) -> list[Statement]:
    """Give what the journal sends."""
    store = cast(Any, open_store())
    store._connection = Recorder(store.connection)
    try:
        action(store)
        return cast(list[Statement], store._connection.sent)
    finally:
        store.close()


def sent_by_django(action: Callable[[], object]) -> list[Statement]:
    """Give what the action sends by Django's connection."""
    sent: list[Statement] = []

    def note(execute: Any, statement: str, parameters: Any, many: bool, context: Any) -> Any:
        if OURS.match(statement):
            placed = statement.replace("%s", "?") if connection.vendor == "sqlite" else statement
            sent.extend((placed, each) for each in (parameters if many else [parameters or ()]))
        return execute(statement, parameters, many, context)

    with transaction.atomic(), connection.execute_wrapper(note):
        action()
        transaction.set_rollback(True)
    return sent


def explain(statements: Sequence[Statement]) -> Explained:
    """Carry the statements out once more, in one transaction that is rolled back; tell how."""
    found = Explained()
    if connection.vendor == "sqlite":
        with _sqlite() as file:
            for statement, parameters in statements:
                _explain_on_sqlite(file, statement, parameters, found)
    else:
        with _postgresql() as session:
            for statement, parameters in statements:
                _explain_on_postgresql(session, statement, parameters, found)
    return found


@contextmanager
def _sqlite() -> Iterator[sqlite3.Connection]:
    file = sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)
    try:
        connection.ensure_connection()
        # Django's own functions are part of its statements.
        for name, count in (("django_json_contains", 2),):
            file.create_function(name, count, lambda *_: None)
        file.execute("BEGIN IMMEDIATE")
        yield file
        file.execute("ROLLBACK")
    finally:
        file.close()


def _explain_on_sqlite(file: sqlite3.Connection, statement: str, parameters: Any, found: Explained) -> None:
    plan = [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    began = time.perf_counter()
    file.execute(statement, parameters).fetchall()
    taken = (time.perf_counter() - began) * 1000
    found.milliseconds += taken
    found.plans.append(f"{taken:.2f} ms: {'; '.join(plan) or 'by itself'}\n    {_short(statement)}")
    found.scans += taken > SCAN_MS


@contextmanager
def _postgresql() -> Iterator[psycopg.Connection[Any]]:
    parameters = connection.get_connection_params()
    for django_own in ("cursor_factory", "context", "pool", "server_side_binding"):
        parameters.pop(django_own, None)
    with psycopg.connect(**parameters, cursor_factory=psycopg.ClientCursor) as session:
        yield session
        session.rollback()


def _explain_on_postgresql(session: psycopg.Connection[Any], statement: str, parameters: Any, found: Explained) -> None:
    cursor = session.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters or None)
    row = cursor.fetchone()
    assert row is not None
    report = row[0][0]
    root = report["Plan"]
    pages = root["Shared Hit Blocks"] + root["Shared Read Blocks"]
    nodes = list(_nodes(root))
    found.milliseconds += report["Execution Time"]
    found.pages += pages
    found.scans += sum(_is_scan(node) for node in nodes)
    lines = "; ".join(filter(None, map(_line, nodes)))
    found.plans.append(f"{report['Execution Time']:.2f} ms, {pages} pages: {lines}\n    {_short(statement)}")


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _line(node: dict[str, Any]) -> str:
    where = node.get("Index Name") or node.get("Relation Name")
    if where is None:
        return ""
    return f"{node['Node Type']} {where} ({node['Actual Rows']} rows, {node['Actual Loops']}x)"


def _is_scan(node: dict[str, Any]) -> bool:
    if node.get("Relation Name") not in LARGE or "Scan" not in node["Node Type"]:
        return False
    looked_at = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return bool(looked_at * node["Actual Loops"] > MANY_ROWS)


def _short(statement: str) -> str:
    return " ".join(statement.split())[:160]
