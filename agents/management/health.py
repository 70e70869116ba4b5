"""What `agentsite doctor` looks at: each examination is a function that returns one finding."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from django.conf import settings
from django.contrib.staticfiles import finders
from django.db import connection
from django.utils import timezone

from agents.engine.outages import DATABASE_ERRORS
from agents.management.preparing import pending_migrations
from agents.models import Run, RunStatus, Worker, WorkerState
from tools.secrets import count_sealed, unreadable

MOST_SKEW = 2.0
# A heartbeat may be this many leases old before a worker counts as gone here.
PATIENCE = 3


class Level(StrEnum):
    """How grave a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What was found, and what to do about it."""

    level: Level
    what: str
    text: str


def examine() -> Iterator[Finding]:
    """Yield all findings; what needs the database is left out when there is none."""
    yield var_dir()
    yield secret_key()
    yield static_files()
    yield model()
    found = database()
    yield found
    if found.level is Level.FAIL:
        return
    pending = migrations()
    yield pending
    yield clock()
    if pending.level is Level.OK:
        yield secrets()
        yield workers()
        yield queue()


def var_dir() -> Finding:
    """The folder must be writable by us and closed to others: it holds the data and the key."""
    path = settings.VAR_DIR
    if not path.is_dir():
        return Finding(Level.FAIL, "folder", f"{path} is missing. `agentsite up` makes it, or set VAR_DIR")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Finding(Level.FAIL, "folder", f"{path} is not writable for this user")
    if stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO:
        return Finding(Level.WARN, "folder", f"{path} is open to every account of this machine: chmod o= {path}")
    return Finding(Level.OK, "folder", str(path))


def secret_key() -> Finding:
    """The key signs sessions: nobody else may read it."""
    path = settings.VAR_DIR / "secret_key"
    if not path.exists():
        return Finding(Level.OK, "secret key", "from the environment")
    if stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(Level.FAIL, "secret key", f"others can read it: chmod 600 {path}")
    return Finding(Level.OK, "secret key", str(path))


def static_files() -> Finding:
    """Without its style sheets the site can't be used."""
    missing = [name for name in ("admin/css/base.css",) if finders.find(name) is None]
    missing += [str(folder) for folder in settings.STATICFILES_DIRS if not folder.is_dir()]
    if missing:
        return Finding(Level.FAIL, "files", f"missing: {', '.join(missing)}. Is the checkout complete?")
    return Finding(Level.OK, "files", "style sheets and scripts are in place")


def model() -> Finding:
    """Which model the starting agents use, and whether it can be reached at all."""
    name = settings.MODEL
    if name == "offline":
        return Finding(Level.OK, "model", "offline: rule-based and extractive. OPENAI_API_KEY and MODEL set a real one")
    if name.startswith("openai:") and not (settings.OPENAI_API_KEY or settings.OPENAI_BASE_URL):
        return Finding(Level.FAIL, "model", f"{name} needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own")
    return Finding(Level.OK, "model", f"{name} at {settings.OPENAI_BASE_URL or 'its usual address'}")


def database() -> Finding:
    """The database must answer."""
    try:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("SELECT sqlite_version()")
            else:
                cursor.execute("SHOW server_version")
            (version,) = cursor.fetchone()
    except DATABASE_ERRORS as error:
        return Finding(Level.FAIL, "database", f"can't be used: {' '.join(str(error).split())}")
    return Finding(Level.OK, "database", f"{connection.display_name} {version}")


def migrations() -> Finding:
    """Code and tables must fit."""
    pending = pending_migrations()
    if pending:
        return Finding(Level.FAIL, "migrations", f"{pending} to apply: agentsite prepare")
    return Finding(Level.OK, "migrations", "all applied")


def clock() -> Finding:
    """Leases run on the database's clock, but people compare times with this machine's."""
    if connection.vendor == "sqlite":
        return Finding(Level.OK, "clock", "the database shares this machine's")
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        (there,) = cursor.fetchone()
    skew = float(there) - (before + time.time()) / 2
    level = Level.OK if abs(skew) <= MOST_SKEW else Level.WARN
    return Finding(level, "clock", f"{abs(skew):.1f} s {'behind' if skew > 0 else 'ahead of'} the database's")


def secrets() -> Finding:
    """Secrets that can't be read here are lost to the runs of this machine."""
    path = settings.VAR_DIR / "secrets_keys"
    if path.exists() and stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(Level.FAIL, "secrets", f"others can read their keys: chmod 600 {path}")
    unread = unreadable()
    if unread:
        return Finding(Level.FAIL, "secrets", f"{len(unread)} can't be read with these SECRETS_KEYS: {unread[0]}…")
    return Finding(Level.OK, "secrets", f"{count_sealed()}, all readable")


def workers() -> Finding:
    """Runs move only while a worker lives."""
    since = timezone.now() - timedelta(seconds=PATIENCE * settings.LEASE_SECONDS)
    living = Worker.objects.filter(state=WorkerState.ALIVE, heartbeat_at__gte=since)
    names = [str(worker) for worker in living]
    if not names:
        return Finding(Level.WARN, "workers", "none is running: agentsite up, or agentsite worker")
    return Finding(Level.OK, "workers", f"{len(names)} alive: {', '.join(names[:5])}{'…' if names[5:] else ''}")


def queue() -> Finding:
    """What waits for a worker."""
    queued = Run.objects.filter(status=RunStatus.QUEUED).count()
    running = Run.objects.filter(status=RunStatus.RUNNING).count()
    return Finding(Level.OK, "queue", f"{queued} queued, {running} running")
