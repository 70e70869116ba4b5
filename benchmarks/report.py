"""The line of JSON that a benchmark prints."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import quantiles
from typing import Literal, TypeAlias

import django
from django.db import connection

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


def line(name: str, figures: Figures, targets: Targets) -> str:
    """Give the line for the database of this process."""
    database = connection.vendor
    report = {
        "benchmark": name,
        "database": database,
        "figures": figures,
        "target": targets[database],
        "machine": {"cores": len(os.sched_getaffinity(0)), "cpu": _cpu(), "memory_gb": _memory_gb()},
        "versions": {
            "python": platform.python_version(),
            "django": django.get_version(),
            database: _database_version(),
            "agentsite": version("agentsite"),
        },
    }
    return json.dumps(report)


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
