"""Perform chaos and print one JSON line: `python -m tests.chaos [--seed N] [--seconds N] [--database D]`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import django

from tests.chaos.schedule import Database
from tests.instance import ADMIN_PASSWORD, Instance
from tests.postgres import Server


def main() -> int:
    """Give 1 if something that must hold did not; then the folder with all that is needed to find out why is kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to disturb (default: %(default)g)")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    # A terminated run must still stop what it started: SIGTERM becomes an exception like Ctrl-C's.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="agentsite-chaos-"))
    # The database server runs as somebody else.
    folder.chmod(0o755)
    breaches = perform(folder, options.seed, options.seconds, options.database)
    if breaches:
        say(f"{len(breaches)} breaches; everything is kept in {folder}")
        for breach in breaches[:20]:
            say(f"  {breach[:2000]}")
        return 1
    shutil.rmtree(folder)
    return 0


def perform(folder: Path, seed: int, seconds: float, database: Database) -> list[str]:
    """Perform in a folder, with a database in it; gives the breaches."""
    server = None
    try:
        if database == "postgresql":
            (folder / "postgresql").mkdir()
            server = Server.make(folder / "postgresql")
        file = None if server else folder / "chaos.sqlite3"
        instance = Instance(directory=folder, database_url=server.url if server else f"sqlite:///{file}")
        instance.manage("prepare", AGENTSITE_ADMIN_PASSWORD=ADMIN_PASSWORD)
        use_database_of(instance)
        # Not at the top: these modules need the tables, and Django to know where they are.
        from tests.chaos.performance import Performance

        try:
            figures = Performance(seed, seconds, database, instance, server, file, say).perform()
        finally:
            instance.stop()
    finally:
        if server is not None:
            server.stop()
    print(json.dumps(figures), flush=True)  # noqa: T201 (this is what the command is for)
    return list(figures["breaches"])


def use_database_of(instance: Instance) -> None:
    """Let this process see the tables of an instance, as a part of the product would."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "agentsite.settings",
        "VAR_DIR": str(instance.var_dir),
        "DATABASE_URL": instance.database_url,
    }
    django.setup()
    # What the product would warn of during an outage, this process expects.
    logging.disable(logging.WARNING)


def say(text: str) -> None:
    """Tell people what happens, beside the result."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 (this is what the command is for)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
