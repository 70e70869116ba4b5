"""`python -m benchmarks [NAME…] [--database sqlite|postgresql|both]`: one line of JSON per benchmark and database."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.instance import CHECKOUT, free_port
from tests.postgres import private_postgres

NAMES = (
    "throughput",
    "scaling",
    "concurrency",
    "parked",
    "waits",
    "memory",
    "latency",
    "accept",
    "live",
    "storage",
    "resume",
    "join",
    "fairness",
    "team",
    "map",
    "recovery",
    "takeover",
    "hosts",
    "idle",
    "growth",
    "plans",
    "limits",
    "schedules",
    "events",
    "tools",
)
DATABASES = ("sqlite", "postgresql")
STOP_SECONDS = 60.0
ROWS = 1_000_000
RUNS = 100_000


@contextmanager
def database_url(database: str, folder: Path) -> Iterator[str]:
    """Give an empty database: a file in the folder, or a server of our own."""
    if database == "sqlite":
        yield f"sqlite:///{folder / 'benchmark.sqlite3'}"
    else:
        with private_postgres() as url:
            yield url


def run(name: str, database: str, *, rows: int, runs: int) -> int:
    """Run one benchmark on one database in a process and a folder of its own; give its exit code."""
    with tempfile.TemporaryDirectory(prefix="agentsite-bench-") as folder, database_url(database, Path(folder)) as url:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "agentsite.settings",
            "DATABASE_URL": url,
            "VAR_DIR": f"{folder}/var",
            "PORT": str(free_port()),
            "WORKFLOW_MODULES": "benchmarks.workflows",
        }
        command = [sys.executable, "-m", "benchmarks.child", name, folder, str(rows), str(runs)]
        child = subprocess.Popen(command, env=environment, cwd=CHECKOUT)
        try:
            return child.wait()
        except BaseException:
            child.terminate()
            child.wait(STOP_SECONDS)
            raise


def main() -> int:
    """Run what was asked for, one after the other; the exit code is that of the first that broke."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(NAMES)}")
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    parser.add_argument("--rows", type=int, default=ROWS, help="finished runs in the tables of growth and plans")
    parser.add_argument("--runs", type=int, default=RUNS, help="runs that memory lets through one worker process")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(NAMES)):
        parser.error(f"there is no benchmark named {unknown[0]}; choose from {', '.join(NAMES)}")
    databases = DATABASES if options.database == "both" else (options.database,)
    codes = [
        run(name, database, rows=options.rows, runs=options.runs)
        for name in options.names or NAMES
        for database in databases
    ]
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    # Asked to end, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
