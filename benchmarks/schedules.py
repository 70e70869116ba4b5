"""1,000 schedules that are due in the same second, and two worker processes.

In how many seconds after that moment all of them have fired, whether any fired twice or too early, and how late the
first one was: the workers sleep until then.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.db import connection

from agents.engine.database_clock import database_now
from agents.models import Event, Schedule
from benchmarks.harness import Bench
from benchmarks.report import Figures, both

SCHEDULES = 1_000
AHEAD = 8.0
"""Seconds before the moment, for the workers to have come to rest."""
PATIENCE = 60.0
TARGETS = both({"seconds": "<= 5", "twice": "<= 0", "early": "<= 0"})


def measure(bench: Bench) -> Figures:
    bench.start_worker(processes=2)
    moment = (database_now() + timedelta(seconds=AHEAD)).replace(microsecond=0)
    workspace = bench.workspace
    when = {"timing": "interval", "seconds": 3600, "anchor": moment, "due_at": moment, "fires_at": moment}
    Schedule.objects.bulk_create(
        [Schedule(workspace=workspace, name=f"bench-{number}", **when) for number in range(SCHEDULES)], batch_size=500
    )
    time.sleep(max(0.0, (moment - database_now()).total_seconds() - 0.5))
    early = _fired()
    first = 0.0
    while (count := _fired()) < SCHEDULES:
        late = (database_now() - moment).total_seconds()
        if count and not first:
            first = late
        if late > PATIENCE:
            raise TimeoutError(f"{SCHEDULES - count} schedules have not fired.\n{bench.instance.logs()}")
        early += count if late < 0 else 0
        time.sleep(0.02)
    seconds = (database_now() - moment).total_seconds()
    # Whoever fires once more does so soon.
    time.sleep(1.0)
    left = Schedule.objects.exclude(fires_at=moment + timedelta(hours=1)).count()
    if left:
        raise RuntimeError(f"{left} schedules are not due again in an hour.\n{bench.instance.logs()}")
    return {
        "schedules": SCHEDULES,
        "seconds": round(seconds, 3),
        "first_seen_after_s": round(first or seconds, 3),
        "twice": Event.objects.filter(name__startswith="schedule.bench-").count() - SCHEDULES,
        "early": early,
    }


def _fired() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT event_id) FROM agents_event WHERE name LIKE 'schedule.bench-%'")
        return int(cursor.fetchone()[0])
