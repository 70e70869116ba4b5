"""The line of JSON that a benchmark prints."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Literal, TypeAlias

import django
from django.db import connection

from tests.instance import CHECKOUT

Database: TypeAlias = Literal["sqlite", "postgresql"]
Figures: TypeAlias = dict[str, float]
Targets: TypeAlias = Mapping[str, Mapping[str, str]]
"""What is to be reached: by database, then by figure."""


def both(targets: Mapping[str, str]) -> Targets:
    """Give targets that are the same on both databases."""
    return {"sqlite": targets, "postgresql": targets}


def percentile(values: Iterable[float], percent: int) -> float:
    """Give a percentile of at least two values."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def milliseconds(seconds: float) -> float:
    """Round to a hundredth of a millisecond."""
    return round(seconds * 1000, 2)


CALIBRATION_TURNS = 400_000
CALIBRATION_TIMES = 9


def calibrate() -> float:
    """Give the milliseconds that a fixed loop of pure Python takes at this moment.

    The same work at all times: if it takes twice as long as elsewhere, so does most of what a benchmark measured.
    """
    return milliseconds(median(_loop_seconds() for _ in range(CALIBRATION_TIMES)))


def _loop_seconds() -> float:
    began, total = time.perf_counter(), 0
    for turn in range(CALIBRATION_TURNS):
        total += turn & 7
    return time.perf_counter() - began


def line(name: str, figures: Figures, targets: Targets, calibration: Mapping[str, float]) -> str:
    """Give the line for the database of this process."""
    database = connection.vendor
    report = {
        "benchmark": name,
        "database": database,
        "figures": figures,
        "target": targets[database],
        "calibration_ms": calibration,
        "machine": {"cores": len(os.sched_getaffinity(0)), "cpu": _cpu(), "memory_gb": _memory_gb()},
        "versions": {
            "python": platform.python_version(),
            "django": django.get_version(),
            database: _database_version(),
            "agentsite": version("agentsite"),
        },
        "commit": _commit(),
    }
    return json.dumps(report)


def _commit() -> str:
    """Name the commit that was measured, with a plus for changes on top; empty outside a checkout."""
    try:
        return _git("rev-parse", "--short=12", "HEAD") + ("+" if _git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.check_output(command, cwd=CHECKOUT, text=True, stderr=subprocess.DEVNULL).strip()


def _cpu() -> str:
    for entry in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = entry.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _memory_gb() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _database_version() -> str:
    if connection.vendor == "sqlite":
        return sqlite3.sqlite_version
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return str(cursor.fetchone()[0])
