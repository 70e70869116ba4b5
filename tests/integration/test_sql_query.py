"""Databases that agents may read: whatever is asked, nothing is changed, slept or read from files. Fault H 38.

On SQLite and, where the tests run on it, on PostgreSQL.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.test import override_settings

from tests.factories import make_workspace
from tests.unit.tools.fakes import FakeContext
from tools.builtin import sql_reading
from tools.builtin.sql_query import sql_query, sql_schema
from tools.errors import ToolFailed, ToolRetry
from tools.types import ToolOutput

pytestmark = pytest.mark.django_db

SERVER = os.environ.get("DATABASE_URL", "")
IS_POSTGRES = SERVER.startswith("postgres")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """A database with some rows, registered as `shop`."""
    made = ["CREATE TABLE lamps (id integer PRIMARY KEY, name text, price numeric)"]
    made += [f"INSERT INTO lamps VALUES ({n}, 'lamp {n}', {n}.5)" for n in range(1, 31)]  # noqa: S608 (numbers)
    if IS_POSTGRES:
        name = f"shop_{uuid4().hex[:10]}"
        with psycopg.connect(SERVER, autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{name}"'.encode())
        url = f"{SERVER.rpartition('/')[0]}/{name}"
        with psycopg.connect(url) as database:
            for statement in made:
                database.execute(statement.encode())
    else:
        path = tmp_path / "shop #1.sqlite3"
        url = f"sqlite:///{quote(str(path))}"
        with closing(sqlite3.connect(path)) as file, file:
            for statement in made:
                file.execute(statement)
    with override_settings(SQL_CONNECTIONS={"shop": {"url": url}, "books": {"url": url, "workspaces": ["team"]}}):
        yield url
    if IS_POSTGRES:
        with psycopg.connect(SERVER, autocommit=True) as server:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def ask(shop: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ToolOutput]:
    async def in_this_thread(function: Callable[..., Any], *args: Any) -> Any:
        return await sync_to_async(function)(*args)

    # The pool's threads would keep connections to the test's own database.
    monkeypatch.setattr("tools.builtin.sql_query.run_in_thread", in_this_thread)

    def ask(sql: str, connection: str = "shop", workspace: int = 1, **options: Any) -> ToolOutput:
        return async_to_sync(sql_query)(FakeContext(workspace_id=workspace), connection, sql, **options)

    return ask


def test_rows_are_given_with_their_columns(ask: Callable[..., ToolOutput]) -> None:
    output = ask("SELECT id, name AS what FROM lamps WHERE id <= 2 ORDER BY id;")
    assert output.data == {"columns": ["id", "what"], "rows": [[1, "lamp 1"], [2, "lamp 2"]], "is_cut": False}
    assert output.text.splitlines() == ["id | what", "--- | ---", "1 | lamp 1", "2 | lamp 2"]
    assert ask("SELECT count(*), max(upper(name)) FROM lamps").data["rows"] == [[30, "LAMP 9"]]
    assert ask("SELECT name FROM lamps WHERE id > 99").data["rows"] == []


def test_rows_bytes_and_cells_are_capped(ask: Callable[..., ToolOutput], monkeypatch: pytest.MonkeyPatch) -> None:
    cut = ask("SELECT id FROM lamps ORDER BY id", limit=7)
    assert (len(cut.data["rows"]), cut.data["is_cut"]) == (7, True)
    assert "there are more" in cut.text
    monkeypatch.setattr(sql_reading, "MAX_BYTES", 200)
    assert ask("SELECT name FROM lamps").data["is_cut"]
    monkeypatch.setattr(sql_reading, "MAX_BYTES", 100_000)
    wide = f"SELECT '{'x' * 9000}' AS x"
    assert len(ask(wide).data["rows"][0][0]) < 5000
    long = ask("SELECT a.name FROM lamps a, lamps b, lamps c", limit=1000, workspace=1)
    assert long.file is None
    monkeypatch.setattr("tools.builtin.sql_query.MAX_TEXT", 1000)
    long = ask("SELECT a.name FROM lamps a, lamps b, lamps c", limit=1000)
    assert "Cut here" in long.text
    assert long.file is not None
    assert len(long.file.content.splitlines()) == 1003
    # However many rows there are, they are not all fetched.
    many = "SELECT count(*) FROM lamps UNION ALL SELECT a.id FROM lamps a, lamps b, lamps c, lamps d, lamps e"
    assert len(ask(many, limit=3).data["rows"]) == 3


def test_the_schema_is_listed(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def in_this_thread(function: Callable[..., Any], *args: Any) -> Any:
        return await sync_to_async(function)(*args)

    monkeypatch.setattr("tools.builtin.sql_query.run_in_thread", in_this_thread)
    output = async_to_sync(sql_schema)(FakeContext(), "shop")
    assert [column.split()[0] for column in output.data["tables"]["lamps"]] == ["id", "name", "price"]
    assert ("PostgreSQL" if IS_POSTGRES else "SQLite") in output.text


REFUSED = [
    "INSERT INTO lamps VALUES (99, 'x', 1)",
    "UPDATE lamps SET price = 0",
    "DELETE FROM lamps",
    "DROP TABLE lamps",
    "CREATE TABLE more (id integer)",
    "WITH gone AS (DELETE FROM lamps RETURNING id) SELECT * FROM gone",
    "SELECT * INTO more FROM lamps",
    "SELECT 1; DELETE FROM lamps",
    "SELECT 1;;SELECT 2",
    "SELECT 1; COMMIT; DELETE FROM lamps; SELECT '",
    "SELECT 'a\\'; DELETE FROM lamps; --'",
    "SELECT /* ; */ 1",
    "SELECT 1 -- ; DELETE FROM lamps",
    "SELECT $$a$$",
    "SELECT E'a\\'', pg_sleep(1)",
    "SELECT pg_sleep(600)",
    "SELECT pg_catalog.pg_sleep(600)",
    'SELECT "pg_sleep"(600)',
    'SELECT U&"pg\\005fsleep"(600)',
    "SELECT pg_sleep (600)",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT query_to_xml('SELECT pg_sleep(600)', true, true, '')",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT pg_terminate_backend(1)",
    "SELECT dblink('', 'DELETE FROM lamps')",
    "COPY lamps TO PROGRAM 'id'",
    "COPY (SELECT 1) TO '/tmp/x'",
    "DO $$ BEGIN PERFORM pg_sleep(600); END $$",
    "SET default_transaction_read_only = off",
    "EXPLAIN ANALYZE DELETE FROM lamps",
    "ATTACH '/etc/passwd' AS x",
    "PRAGMA query_only = OFF",
    "SELECT * FROM pragma_query_only",
    "SELECT load_extension('x')",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('/tmp/x', 'x')",
    "SELECT randomblob(1000000000)",
    "VACUUM INTO '/tmp/x'",
    "SELECT * FROM nothing",
    "SELEC 1",
    "",
    "  ; ",
    "SELECT '\x00'",
    "SELECT 'open",
    "(" * 3000,
    "SELECT 1" + " " * 21_000,
]


@pytest.mark.fault(38)
def test_what_does_more_than_read_is_refused(ask: Callable[..., ToolOutput]) -> None:
    for sql in REFUSED:
        with pytest.raises(ToolFailed):
            ask(sql)
    assert ask("SELECT count(*) FROM lamps").data["rows"] == [[30]]


@pytest.mark.fault(38)
@pytest.mark.parametrize("sql", ["DELETE FROM lamps", "INSERT INTO lamps VALUES (99, 'x', 1)", "DROP TABLE lamps"])
def test_the_connection_itself_does_not_write(shop: str, ask: Callable[..., ToolOutput], sql: str) -> None:
    database = sql_reading.find_database("shop", 1)
    with pytest.raises(ToolFailed):
        sql_reading.read(database, sql, 10)
    # Nor does it take several statements, of which the first would end the transaction.
    with pytest.raises(ToolFailed):
        sql_reading.read(database, f"COMMIT; {sql}", 10)
    assert ask("SELECT count(*) FROM lamps").data["rows"] == [[30]]


@pytest.mark.fault(38)
def test_a_statement_that_takes_too_long_is_stopped(shop: str) -> None:
    database = sql_reading.find_database("shop", 1)
    endless = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(ToolFailed, match="longer than"):
        sql_reading.read(database, endless, 10, seconds=0.5)


def test_databases_are_for_the_workspaces_that_are_named(ask: Callable[..., ToolOutput]) -> None:
    team, other = make_workspace("team"), make_workspace("other")
    assert ask("SELECT 1 AS x", "books", team.pk).data["rows"] == [[1]]
    with pytest.raises(ToolFailed, match="There are: shop"):
        ask("SELECT 1", "books", other.pk)
    with pytest.raises(ToolFailed, match="'nothing' is registered"):
        ask("SELECT 1", "nothing", team.pk)


def test_a_database_that_is_away_may_be_asked_again(ask: Callable[..., ToolOutput], tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:9/x" if IS_POSTGRES else f"sqlite:///{tmp_path}/nothing.sqlite3"
    with override_settings(SQL_CONNECTIONS={"shop": {"url": url}}), pytest.raises(ToolRetry):
        ask("SELECT 1")
    assert json.dumps(settings.SQL_CONNECTIONS)
