"""A migrated database, made by whoever needs one first and copied by all others.

Migrating takes a processor seconds, which each process of xdist and each template of instances would spend.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from django.db import connections
from django.test.utils import setup_databases
from psycopg import sql

NOTE = "migrated.json"


def migrated_in(folder: Path) -> str:
    """Give the URL of the migrated database of a folder; empty while there is none. Nobody may change it."""
    note = folder / NOTE
    return note.read_text() if note.exists() else ""


@contextmanager
def test_database(folder: Path, server: str) -> Iterator[None]:
    """Set this process's test database up, from the migrated one of the folder if there is one; remove it afterwards.

    `server` is the URL of a PostgreSQL server; empty stands for SQLite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / NOTE).open("a+") as note:
        fcntl.flock(note, fcntl.LOCK_EX)
        template = migrated_in(folder)
        own = _own_url(server)
        if template:
            copy_database(template, own)
        databases = setup_databases(verbosity=0, interactive=False, keepdb=bool(template))
        if not template:
            connections.close_all()
            template = _beside(folder, server)
            copy_database(own, template)
            note.write(template)
            note.flush()
    yield
    for connection, name, _ in databases:
        # With force: a thread that a test left behind may still have it open.
        connection.close()
        drop_database(own)
        connection.settings_dict["NAME"] = name


def drop_migrated(folder: Path) -> None:
    """Remove the migrated database of a folder, if there is one."""
    if url := migrated_in(folder):
        drop_database(url)


def copy_database(source: str, target: str) -> None:
    """Make a database that is the same as another, which nobody may have open."""
    if source.startswith("sqlite"):
        # Nobody has it open, so all of it is in the one file.
        shutil.copyfile(_path(source), _path(target))
        return
    drop_database(target)
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    _administrate(source, statement.format(sql.Identifier(_name(target)), sql.Identifier(_name(source))))


def drop_database(url: str) -> None:
    """Remove a database, whoever has it open."""
    if url.startswith("sqlite"):
        for path in Path(_path(url)).parent.glob(f"{Path(_path(url)).name}*"):
            path.unlink()
        return
    _administrate(url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(_name(url))))


def create_database(url: str) -> None:
    """Make an empty database; a file of SQLite's is made by whoever opens it."""
    if not url.startswith("sqlite"):
        _administrate(url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_name(url))))


def _own_url(server: str) -> str:
    """Give the URL of the database that Django will use in this process for its tests."""
    own = connections["default"].settings_dict
    name = own["TEST"]["NAME"] or f"test_{own['NAME']}"
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}")) if server else f"sqlite:///{name}"


def _beside(folder: Path, server: str) -> str:
    if not server:
        return f"sqlite:///{folder / 'migrated.sqlite3'}"
    return urlunsplit(urlsplit(server)._replace(path=f"/migrated_{os.getpid()}"))


def _path(url: str) -> str:
    return urlsplit(url).path[1:]


def _name(url: str) -> str:
    return urlsplit(url).path[1:]


def _administrate(url: str, statement: sql.Composed) -> None:
    """Have it done from a database that is always there."""
    with psycopg.connect(urlunsplit(urlsplit(url)._replace(path="/postgres")), autocommit=True) as connection:
        connection.execute(statement)
