"""One benchmark on the database that DATABASE_URL names: `python -m benchmarks.child NAME FOLDER ROWS RUNS`.

A process of its own, because Django reads its settings once. __main__ prepares the environment.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path

import django

from tests.instance import ADMIN_PASSWORD, Instance


def main(name: str, folder: str, rows: int, runs: int) -> None:
    """Set up an instance in the folder, measure, print the line of JSON."""
    django.setup()
    # Not at the top: these need the tables, which are there only now.
    harness, report = import_module("benchmarks.harness"), import_module("benchmarks.report")
    benchmark = import_module(f"benchmarks.{name}")
    instance = Instance(Path(folder), os.environ["DATABASE_URL"], port=int(os.environ["PORT"]))
    try:
        instance.manage("prepare", AGENTSITE_ADMIN_PASSWORD=ADMIN_PASSWORD)
        before = report.calibrate()
        figures = benchmark.measure(harness.Bench(instance, rows=rows, runs=runs))
    finally:
        instance.stop()
    calibration = {"before": before, "after": report.calibrate()}
    print(report.line(name, figures, benchmark.TARGETS, calibration), flush=True)


if __name__ == "__main__":
    # Asked to end, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
