"""Reading from registered databases: on a connection that can't write, for a limited time, so many rows and bytes.

What the operator registers stays the operator's: the name of the database, a role that may read what agents may know.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import psycopg
from django.apps import apps
from django.conf import settings

from tools.errors import ToolFailed, ToolRetry
from tools.types import JSON

SECONDS = 20.0
MAX_BYTES = 500_000
MAX_CELL = 4_000
_STEPS = 10_000
_LARGEST = 10_000_000
_SQLITE_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
_SQLITE_REFUSED = {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "zeroblob", "randomblob"}
_TABLES = """
SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns
WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, ordinal_position
"""


@dataclass(frozen=True, slots=True)
class Database:
    """A registered database; `kind` is PostgreSQL or SQLite."""

    name: str
    url: str
    kind: str


@dataclass(frozen=True, slots=True)
class Table:
    """What a statement gave."""

    columns: list[str]
    rows: list[list[JSON]]
    is_cut: bool


def databases_for(workspace_id: int) -> dict[str, str]:
    """Give the addresses of the databases that a workspace may read, by name."""
    return {name: str(one["url"]) for name, one in settings.SQL_CONNECTIONS.items() if _is_for(one, workspace_id)}


def find_database(name: str, workspace_id: int) -> Database:
    """Find a database that this workspace may read; raises ToolFailed naming those there are."""
    known = databases_for(workspace_id)
    if name not in known:
        raise ToolFailed(f"No database named {name[:60]!r} is registered. There are: {', '.join(known) or 'none'}.")
    url = known[name]
    return Database(name, url, "SQLite" if urlsplit(url).scheme == "sqlite" else "PostgreSQL")


def _is_for(entry: dict[str, Any], workspace_id: int) -> bool:
    """Tell whether a workspace is one of those named; without any, all of them are."""
    slugs = entry.get("workspaces")
    if slugs is None:
        return True
    workspaces: Any = apps.get_model("agents", "Workspace")
    return bool(workspaces._default_manager.filter(pk=workspace_id, slug__in=slugs).exists())


def read(database: Database, sql: str, limit: int, seconds: float = SECONDS) -> Table:
    """Carry out a statement; raises ToolFailed for what the database refuses, ToolRetry if it is not there."""
    with _rows(database, sql, seconds) as (columns, rows):
        return _collect(columns, rows, limit)


def schema(database: Database) -> dict[str, list[str]]:
    """Give the columns of all tables and views, each with its type."""
    tables: dict[str, list[str]] = {}
    if database.kind == "PostgreSQL":
        with _rows(database, _TABLES, SECONDS) as (_, rows):
            for place, name, column, type in rows:
                tables.setdefault(name if place == "public" else f"{place}.{name}", []).append(f"{column} {type}")
        return tables
    with closing(_open_sqlite(database)) as connection:
        names = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY 1"
        for (name,) in connection.execute(names).fetchall():
            columns = connection.execute("SELECT name, type FROM pragma_table_info(?)", (name,)).fetchall()
            tables[name] = [f"{column} {type}".strip() for column, type in columns]
    return tables


@contextmanager
def _rows(database: Database, sql: str, seconds: float) -> Iterator[tuple[list[str], Iterable[tuple[Any, ...]]]]:
    reader = _sqlite_rows if database.kind == "SQLite" else _postgres_rows
    with reader(database, sql, seconds) as found:
        yield found


def _collect(columns: list[str], rows: Iterable[tuple[Any, ...]], limit: int) -> Table:
    kept: list[list[JSON]] = []
    size = 0
    for row in rows:
        values = [_to_json(value) for value in row]
        size += sum(len(str(value)) for value in values) + 8 * len(values)
        if len(kept) >= limit or size > MAX_BYTES:
            return Table(columns, kept, is_cut=True)
        kept.append(values)
    return Table(columns, kept, is_cut=False)


def _to_json(value: Any) -> JSON:
    match value:
        case None | bool() | int() | float():
            return value
        case bytes() | memoryview():
            return f"[{len(value):,} bytes]"
    text = str(value)
    return text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}… [{len(text):,} characters]"


def _open_sqlite(database: Database) -> sqlite3.Connection:
    # As Django's addresses: three slashes before a relative path, four before an absolute one.
    path = quote(unquote(urlsplit(database.url).path[1:]))
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise ToolRetry(f"The database {database.name} can't be opened: {error}.") from error
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    return connection


@contextmanager
def _sqlite_rows(database: Database, sql: str, seconds: float) -> Iterator[tuple[list[str], Iterable[tuple[Any, ...]]]]:
    with closing(_open_sqlite(database)) as connection:
        ends = time.monotonic() + seconds
        connection.set_authorizer(_authorize)
        connection.set_progress_handler(lambda: time.monotonic() > ends, _STEPS)
        try:
            cursor = connection.execute(sql)
            yield [name for name, *_ in cursor.description or ()], cursor
        except (sqlite3.Error, sqlite3.Warning, UnicodeError, OverflowError) as error:
            if time.monotonic() > ends:
                raise ToolFailed(f"The statement took longer than {seconds:g} s.") from error
            raise ToolFailed(f"The database {database.name} refuses this: {error}.") from error


def _authorize(action: int, first: str | None, second: str | None, *_: object) -> int:
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if (second or "").lower() in _SQLITE_REFUSED else sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action in _SQLITE_ALLOWED else sqlite3.SQLITE_DENY


@contextmanager
def _postgres_rows(
    database: Database, sql: str, seconds: float
) -> Iterator[tuple[list[str], Iterable[tuple[Any, ...]]]]:
    options = f"-c default_transaction_read_only=on -c statement_timeout={int(seconds * 1000)} " + (
        "-c standard_conforming_strings=on -c lock_timeout=3000 -c idle_in_transaction_session_timeout=60000"
    )
    try:
        connection = psycopg.connect(database.url, options=options, connect_timeout=5, application_name="agentsite-sql")
    except psycopg.OperationalError as error:
        raise ToolRetry(f"The database {database.name} can't be reached.") from error
    with closing(connection):
        connection.read_only = True
        try:
            # A stream uses the protocol that takes one statement only, and never holds more than a row here.
            with connection.cursor() as cursor, closing(_streamed(cursor, sql)) as rows:
                first = next(rows, None)
                columns = [column.name for column in cursor.description or ()]
                yield columns, ([] if first is None else chain([first], rows))
        except psycopg.errors.QueryCanceled as error:
            raise ToolFailed(f"The statement took longer than {seconds:g} s.") from error
        except psycopg.OperationalError as error:
            raise ToolRetry(f"The connection to {database.name} broke off.") from error
        except (psycopg.Error, UnicodeError) as error:
            said = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
            raise ToolFailed(f"The database {database.name} refuses this: {said}.") from error


def _streamed(cursor: psycopg.Cursor[tuple[Any, ...]], sql: str) -> Generator[tuple[Any, ...], None, None]:
    """Give the rows one by one; closed before its end, it cancels the statement."""
    yield from cursor.stream(sql.encode())
