"""When schedules are due, what is made up for after a pause, and by how much each is delayed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from agents.triggers.cron import BadTiming
from agents.triggers.schedules import MOST_COUNTED, CatchUp, Timing, jitter_of, next_due, plan, upcoming

ID = UUID("0190b3d4-0000-7000-8000-000000000001")
MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
HOURLY = Timing(kind="cron", cron="0 * * * *")
DAILY_IN_BERLIN = Timing(kind="cron", cron="0 9 * * *", time_zone="Europe/Berlin")
EACH_SECOND = Timing(kind="interval", seconds=1, anchor=MONDAY)
CRON_EACH_SECOND = Timing(kind="cron", cron="* * * * * *")
MIDNIGHT_HOURS = [MONDAY + WEEK - timedelta(hours=back) for back in range(5)]


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("catch_up", "limit", "fires"),
    [
        ("none", 1, []),
        ("one", 1, MIDNIGHT_HOURS[:1]),
        ("all", 1, MIDNIGHT_HOURS[:1]),
        ("all", 5, MIDNIGHT_HOURS[::-1]),
    ],
)
def test_after_a_week_the_rule_bounds_what_fires(catch_up: CatchUp, limit: int, fires: list[datetime]) -> None:
    late = MONDAY + WEEK + timedelta(minutes=20)
    firing = plan(ID, HOURLY, MONDAY, late, catch_up=catch_up, limit=limit)
    assert list(firing.fire) == fires
    assert firing.skipped == 7 * 24 + 1 - len(fires)
    assert firing.following is not None
    assert firing.following.at == MONDAY + WEEK + timedelta(hours=1)


@pytest.mark.fault(22)
@pytest.mark.parametrize("timing", [EACH_SECOND, CRON_EACH_SECOND], ids=["interval", "cron"])
@pytest.mark.parametrize(("catch_up", "limit", "fired"), [("none", 1, 1), ("one", 1, 1), ("all", 7, 7)])
def test_a_week_of_seconds_is_passed_over_without_going_through_it(
    timing: Timing, catch_up: CatchUp, limit: int, fired: int
) -> None:
    firing = plan(ID, timing, MONDAY, MONDAY + WEEK, catch_up=catch_up, limit=limit)
    assert firing.fire == tuple(MONDAY + WEEK - timedelta(seconds=back) for back in reversed(range(fired)))
    assert firing.skipped == MOST_COUNTED + 1, "more than are counted"
    assert firing.following is not None
    assert firing.following.at == MONDAY + WEEK + timedelta(seconds=1)


@pytest.mark.parametrize("catch_up", ["none", "one", "all"])
def test_on_time_it_fires_whatever_the_rule(catch_up: CatchUp) -> None:
    for late in (0, 3, 60):
        firing = plan(ID, HOURLY, MONDAY, MONDAY + timedelta(seconds=late), catch_up=catch_up, limit=5)
        assert (firing.fire, firing.skipped) == ((MONDAY,), 0)


def test_a_pause_over_a_change_of_the_clock_counts_the_days() -> None:
    """The clock was put forward in between: seven days less an hour."""
    due = datetime(2026, 3, 26, 8, tzinfo=UTC)
    firing = plan(ID, DAILY_IN_BERLIN, due, datetime(2026, 4, 2, 12, tzinfo=UTC), catch_up="all", limit=100)
    assert [time.hour for time in firing.fire] == [8, 8, 8, 7, 7, 7, 7, 7]
    assert firing.following is not None
    assert firing.following.at == datetime(2026, 4, 3, 7, tzinfo=UTC)


def test_once_is_once() -> None:
    timing = Timing(kind="once", at=MONDAY)
    firing = plan(ID, timing, MONDAY, MONDAY + timedelta(seconds=1), catch_up="none")
    assert (firing.fire, firing.following) == ((MONDAY,), None)
    assert plan(ID, timing, MONDAY, MONDAY + WEEK, catch_up="none").fire == ()
    assert plan(ID, timing, MONDAY, MONDAY + WEEK, catch_up="one").fire == (MONDAY,)
    assert upcoming(timing, MONDAY) == []


def test_an_interval_keeps_its_step_whenever_it_is_asked() -> None:
    timing = Timing(kind="interval", seconds=90, anchor=MONDAY)
    assert upcoming(timing, MONDAY - timedelta(days=1), 2) == [MONDAY, MONDAY + timedelta(seconds=90)]
    assert upcoming(timing, MONDAY + timedelta(seconds=90), 1) == [MONDAY + timedelta(seconds=180)]
    assert upcoming(timing, MONDAY + timedelta(seconds=91), 1) == [MONDAY + timedelta(seconds=180)]


class TestJitter:
    """Delays that spread what would all fire at once."""

    timing = Timing(kind="cron", cron="0 * * * *", jitter=600)

    def test_it_follows_from_schedule_and_time_and_spreads(self) -> None:
        delays = [jitter_of(ID, MONDAY + timedelta(hours=hour), 600).total_seconds() for hour in range(50)]
        assert delays == [jitter_of(ID, MONDAY + timedelta(hours=hour), 600).total_seconds() for hour in range(50)]
        assert all(0 <= delay <= 600 for delay in delays)
        assert len(set(delays)) > 30
        assert jitter_of(UUID(int=1), MONDAY, 600) != jitter_of(UUID(int=2), MONDAY, 600)

    def test_a_firing_waits_for_its_delay(self) -> None:
        due = next_due(ID, self.timing, MONDAY)
        assert due is not None
        assert due.at == MONDAY + timedelta(hours=1)
        early = plan(ID, self.timing, due.at, due.fires_at - timedelta(seconds=1), catch_up="all", limit=5)
        assert (early.fire, early.skipped, early.following) == ((), 0, due)
        on_time = plan(ID, self.timing, due.at, due.fires_at, catch_up="none")
        assert on_time.fire == (due.at,)

    def test_after_a_pause_what_waits_for_its_delay_is_not_made_up_for(self) -> None:
        last = MONDAY + timedelta(hours=5)
        firing = plan(ID, self.timing, MONDAY, last, catch_up="one")
        assert firing.fire == (last - timedelta(hours=1),)
        assert firing.skipped == 4
        assert firing.following is not None
        assert firing.following.at == last


@pytest.mark.parametrize(
    ("timing", "field"),
    [
        ({"kind": "cron", "cron": "nonsense"}, "cron"),
        ({"kind": "cron", "cron": "0 0 31 4,6 *"}, "cron"),
        ({"kind": "cron", "cron": "0 9 * * *", "time_zone": "Europe/Atlantis"}, "time_zone"),
        ({"kind": "cron", "cron": "0 9 * * *", "time_zone": "../../etc/passwd"}, "time_zone"),
        ({"kind": "interval", "seconds": 0, "anchor": MONDAY}, "seconds"),
        ({"kind": "interval", "seconds": 10**12, "anchor": MONDAY}, "seconds"),
        ({"kind": "once", "at": MONDAY - timedelta(seconds=1)}, "at"),
        ({"kind": "once"}, "at"),
        ({"kind": "cron", "cron": "*/10 * * * *", "jitter": 600}, "jitter"),
        ({"kind": "once", "at": MONDAY + WEEK, "jitter": -1}, "jitter"),
    ],
)
def test_what_would_not_fire_as_it_is_said_is_refused(timing: dict[str, Any], field: str) -> None:
    with pytest.raises(BadTiming) as raised:
        Timing(**timing).check(MONDAY)
    assert raised.value.field == field


@pytest.mark.parametrize(
    "timing",
    [
        HOURLY,
        DAILY_IN_BERLIN,
        EACH_SECOND,
        CRON_EACH_SECOND,
        Timing(kind="once", at=MONDAY + WEEK, jitter=60),
        Timing(kind="cron", cron="0 0 29 2 *"),
        Timing(kind="cron", cron="0 9 * * MON#1", time_zone="Asia/Tokyo", jitter=900),
    ],
)
def test_what_fires_is_taken(timing: Timing) -> None:
    timing.check(MONDAY)
