"""A real instance with the workflows of tests/workflows.py, and the witness of what they did to the outside world."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest

from tests.instance import Instance, Process, wait_until

NOTHING = "UPDATE agents_worker SET lease = lease"
ENDED = ("succeeded", "failed", "cancelled")


class World:
    """An instance with the workflows of tests/workflows.py, and the witness of their effects."""

    def __init__(self, instance: Instance, directory: Path) -> None:
        self.instance = instance
        self.effects = directory / "effects"
        self.effects.touch()
        instance.environment |= {
            "EFFECTS": str(self.effects),
            "GRACE_SECONDS": "3",
            "LEASE_SECONDS": "6",
        }

    def start_workers(self, queue: str = "runs", **environment: str) -> Process:
        return self.instance.start_worker(queue, **{"WORKERS": "2"} | environment)

    def queue(self, workflow: str, **input: Any) -> str:
        """Start a run over the API; gives its id."""
        answer = self.instance.api.post("runs", json={"workflow": workflow, "input": input})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def rows(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        """Ask the database, beside the product."""
        url = self.instance.database_url
        if url.startswith("sqlite"):
            with closing(sqlite3.connect(urlsplit(url).path[1:], timeout=20.0)) as connection:
                hexed = [value.replace("-", "") for value in values]
                return connection.execute(statement, hexed).fetchall()
        with psycopg.connect(url, autocommit=True) as server:
            return server.execute(statement.replace("?", "%s").encode(), values).fetchall()

    def change(self, statement: str, patience: float = 20.0) -> None:
        """Change the database, beside the product; SQLite's file may be in others' hands for `patience` seconds."""
        url = self.instance.database_url
        if url.startswith("sqlite"):
            with closing(sqlite3.connect(urlsplit(url).path[1:], timeout=patience)) as connection, connection:
                connection.execute(statement)
        else:
            with psycopg.connect(url, autocommit=True) as server:
                server.execute(statement.encode())

    def silence(self, host: Process) -> None:
        """Stop all processes of a host but those of its tools; not in the midst of a write to the one file."""
        while True:
            os.killpg(host.pid, signal.SIGSTOP)
            with suppress(sqlite3.OperationalError):
                self.change(NOTHING, patience=1.0)
                return
            os.killpg(host.pid, signal.SIGCONT)
            # Stopped anew at once, it would never come to the end of its write.
            self.change(NOTHING)

    def clear(self, *tables: str) -> None:
        """Stop all but the web process, and forget runs and workers, and what the further tables hold."""
        for process in self.instance.processes[1:]:
            process.stop()
        del self.instance.processes[1:]
        for table in (*(f"agents_{name}" for name in ("run", "step", "runevent", "inbox", "wait", "worker")), *tables):
            self.change(f"DELETE FROM {table}")  # noqa: S608 (names of our own)

    def recorded(self) -> set[tuple[str, str]]:
        """Give (run, key) of all steps whose outcome is recorded."""
        rows = self.rows("SELECT run_id, key FROM agents_step WHERE status='succeeded' AND NOT superseded")
        return {(str(run if isinstance(run, UUID) else UUID(run)), key) for run, key in rows}

    def done(self, after: int = 0) -> list[tuple[str, str]]:
        """Give (run, key) of the effects that the outside world saw, in order."""
        with self.effects.open("rb") as file:
            file.seek(after)
            return [(run, key) for run, key in (line.decode().split() for line in file)]

    def statuses(self) -> Counter[str]:
        return Counter(status for (status,) in self.rows("SELECT status FROM agents_run"))

    def wait_for_the_end(self, seconds: float = 60.0) -> None:
        def ended() -> bool:
            return all(status in ENDED for status in self.statuses())

        try:
            wait_until(ended, seconds, "all runs to end")
        except TimeoutError:
            rows = self.rows("SELECT id, workflow, status, reason, worker_id, epoch, wakes FROM agents_run")
            pytest.fail(f"stuck: {[row for row in rows if row[2] not in ENDED]}")

    def busy_pids(self) -> list[int]:
        """Give the worker processes that hold runs."""
        rows = self.rows(
            "SELECT DISTINCT w.pid FROM agents_worker w JOIN agents_run r ON r.worker_id = w.id"
            " WHERE r.status='running' AND w.state='alive'"
        )
        return sorted(pid for (pid,) in rows)

    def events_have_no_gaps(self) -> bool:
        rows = self.rows(
            "SELECT r.last_event, count(e.number), max(e.number) FROM agents_run r"
            " JOIN agents_runevent e ON e.run_id = r.id GROUP BY r.id, r.last_event"
        )
        return bool(rows) and all(last == count == highest for last, count, highest in rows)
