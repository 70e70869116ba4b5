"""Times by cron on the clocks of zones, above all when those are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.triggers.cron import BadTiming, check_cron, cron_times

BERLIN, NEW_YORK, LORD_HOWE, CAIRO = (
    ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo")
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def times(expression: str, zone: ZoneInfo, start: str, end: str) -> list[str]:
    """Give what fires after `start` and until `end` (UTC), in the zone's own time."""
    found = []
    for time in cron_times(expression, zone, utc(start)):
        if time > utc(end):
            break
        assert time.tzinfo is UTC
        found.append(time.astimezone(zone).strftime("%d %H:%M:%S%z"))
    return found


# In each zone: the day on which the clock is put forward, and what of its clock is not there.
@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("zone", "start", "end", "cron", "fires"),
    [
        pytest.param(
            *(BERLIN, "2026-03-28T12:00", "2026-03-30T12:00", "30 2 * * *"),
            ["29 03:00:00+0200", "30 02:30:00+0200"],
            id="Berlin: two to three is not there",
        ),
        pytest.param(
            *(NEW_YORK, "2026-03-07T12:00", "2026-03-09T12:00", "30 2 * * *"),
            ["08 03:00:00-0400", "09 02:30:00-0400"],
            id="New York: two to three is not there",
        ),
        pytest.param(
            *(LORD_HOWE, "2026-10-03T00:00", "2026-10-04T20:00", "15 2 * * *"),
            ["04 02:30:00+1100", "05 02:15:00+1100"],
            id="Lord Howe: two to half past two is not there",
        ),
        pytest.param(
            *(CAIRO, "2026-04-23T12:00", "2026-04-25T12:00", "0 0 * * *"),
            ["24 01:00:00+0300", "25 00:00:00+0300"],
            id="Cairo: midnight is not there",
        ),
        pytest.param(
            *(BERLIN, "2026-03-28T12:00", "2026-03-29T12:00", "*/20 2 * * *"),
            ["29 03:00:00+0200"],
            id="several in what is not there fire once",
        ),
        pytest.param(
            *(BERLIN, "2026-03-28T12:00", "2026-03-29T12:00", "0 2,3 * * *"),
            ["29 03:00:00+0200"],
            id="what is moved falls together with its neighbour",
        ),
        pytest.param(
            *(BERLIN, "2026-03-28T12:00", "2026-03-29T12:00", "10,20 30 2 * * *"),
            ["29 03:00:10+0200", "29 03:00:20+0200"],
            id="with seconds",
        ),
        pytest.param(
            *(BERLIN, "2026-03-28T23:50", "2026-03-29T02:50", "30 * * * *"),
            ["29 01:30:00+0100", "29 03:30:00+0200", "29 04:30:00+0200"],
            id="each hour goes by time that passes",
        ),
    ],
)
def test_the_clock_is_put_forward(zone: ZoneInfo, start: str, end: str, cron: str, fires: list[str]) -> None:
    assert times(cron, zone, start, end) == fires


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("zone", "start", "end", "cron", "fires"),
    [
        pytest.param(
            *(BERLIN, "2026-10-24T12:00", "2026-10-26T12:00", "30 2 * * *"),
            ["25 02:30:00+0200", "26 02:30:00+0100"],
            id="Berlin: two to three comes twice",
        ),
        pytest.param(
            *(NEW_YORK, "2026-10-31T12:00", "2026-11-02T12:00", "30 1 * * *"),
            ["01 01:30:00-0400", "02 01:30:00-0500"],
            id="New York: one to two comes twice",
        ),
        pytest.param(
            *(LORD_HOWE, "2026-04-04T00:00", "2026-04-05T20:00", "45 1 * * *"),
            ["05 01:45:00+1100", "06 01:45:00+1030"],
            id="Lord Howe: half past one to two comes twice",
        ),
        pytest.param(
            *(BERLIN, "2026-10-24T12:00", "2026-10-25T12:00", "*/20 2 * * *"),
            ["25 02:00:00+0200", "25 02:20:00+0200", "25 02:40:00+0200"],
            id="several in what comes twice fire once each",
        ),
        pytest.param(
            *(BERLIN, "2026-10-24T20:00", "2026-10-25T04:00", "0 */2 * * *"),
            ["25 00:00:00+0200", "25 02:00:00+0200", "25 04:00:00+0100"],
            id="each second hour is an hour of the clock",
        ),
        pytest.param(
            *(BERLIN, "2026-10-24T12:00", "2026-10-25T12:00", "5 30 2 * * *"),
            ["25 02:30:05+0200"],
            id="with seconds",
        ),
        pytest.param(
            *(BERLIN, "2026-10-24T23:50", "2026-10-25T01:50", "0-59/30 0-23 * * *"),
            ["25 02:00:00+0200", "25 02:30:00+0200", "25 02:00:00+0100", "25 02:30:00+0100"],
            id="each hour goes by time that passes",
        ),
    ],
)
def test_the_clock_is_put_back(zone: ZoneInfo, start: str, end: str, cron: str, fires: list[str]) -> None:
    assert times(cron, zone, start, end) == fires


def test_asked_in_the_second_pass_of_an_hour_it_does_not_look_back() -> None:
    # 01:40 UTC is 02:40 for the second time; 02:45 was an hour and five minutes ago.
    assert next(cron_times("45 2 * * *", BERLIN, utc("2026-10-25T01:40"))) == utc("2026-10-26T01:45")


@settings(max_examples=50, deadline=None)
@given(
    minute=st.sampled_from(["0", "30", "*/15", "59", "1-3"]),
    hour=st.sampled_from(["*", "0", "1", "2", "3", "1-3", "*/2", "0-23"]),
    zone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, CAIRO]),
    offset=st.integers(0, 3 * 24 * 60),
    change=st.sampled_from(["2026-03-27", "2026-10-23", "2026-04-03", "2026-10-02", "2026-03-06", "2026-10-30"]),
)
def test_wherever_one_begins_the_times_are_the_same(
    minute: str, hour: str, zone: ZoneInfo, offset: int, change: str
) -> None:
    """A schedule goes on from its last firing, a page asks from now: both have to name the same times."""
    expression = f"{minute} {hour} * * *"
    begin = utc(change)
    later = begin + timedelta(minutes=offset, seconds=7)
    end = begin + timedelta(days=4)

    def times_from(start: datetime) -> list[datetime]:
        return list(takewhile(lambda time: time <= end, cron_times(expression, zone, start)))

    part = times_from(later)
    assert part == [time for time in times_from(begin) if time > later]
    assert part == sorted(set(part))


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * * *", "five fields"),
        ("61 * * * *", "bad minute"),
        ("* 24 * * *", "bad hour"),
        ("* * * * MOO", "bad day-of-week"),
        ("* * 31 2 *", "bad day-of-month"),
        ("*/0 * * * *", "bad minute"),
        ("1 " * 150, "five fields"),
        ("٣ * * * *", "bad minute"),
    ],
)
def test_what_is_no_expression_is_named(expression: str, says: str) -> None:
    with pytest.raises(BadTiming, match=says) as raised:
        check_cron(expression)
    assert raised.value.field == "cron"
