"""Times that a cron expression names on the clocks of a time zone.

An expression that names hours means the clock on the wall: at each change of that clock it fires once. What falls
into the hour that summer time takes away comes at that hour's end; what falls into the hour that comes twice, comes
the first time. An expression for each hour (`*`) means time that passes, and fires in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

MAX_EXPRESSION = 200
_EPOCH = datetime(2024, 1, 1)  # noqa: DTZ001 (only reads the expression; no time comes of it)
_SECOND = timedelta(seconds=1)


class BadTiming(ValueError):
    """These are no times, or none that ever come. The message says what to change; `field` names it."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class _Read:
    """An expression that was read: `seconds` is empty where the library sees to them itself."""

    expression: str
    seconds: tuple[int, ...]


def check_cron(expression: str) -> None:
    """Raise BadTiming for what is no cron expression of five fields, or six with the seconds first."""
    _read(expression)


def cron_words(expression: str) -> str:
    """Say an expression in words, as in "at 09:00 on Monday through Friday"; raises BadTiming."""
    check_cron(expression)
    words = CronSim(expression, _EPOCH).explain()
    return f"{words[:1].lower()}{words[1:]}"


def cron_times(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Give the times after a moment, in UTC and in order; none where none come within fifty years."""
    read = _read(expression)
    seconds = read.seconds
    # With seconds of our own, the minute that is going on may have some left.
    start = after.astimezone(zone).replace(second=0, microsecond=0) - _SECOND if seconds else after.astimezone(zone)
    last = after.astimezone(UTC)
    for time in CronSim(read.expression, start):
        for second in seconds or (0,):
            found = time.astimezone(UTC) + timedelta(seconds=second)
            # In the hour that comes twice the library counts from its first pass.
            if found > last:
                last = found
                yield found


@lru_cache(maxsize=4096)
def _read(expression: str) -> _Read:
    fields = expression.split()
    if len(expression) > MAX_EXPRESSION or len(fields) not in (5, 6):
        raise BadTiming(
            "A cron expression has five fields (minute, hour, day, month, weekday), or six with the seconds first.",
            "cron",
        )
    try:
        sim = CronSim(expression, _EPOCH)
    except CronSimError as error:
        raise BadTiming(f"{expression!r} is no cron expression: {str(error).lower()}.", "cron") from error
    if len(sim.hours) == 24:
        # Written out, so that the library takes it for each hour however it was said.
        *head, _, day, month, weekday = fields
        return _Read(" ".join([*head, "*", day, month, weekday]), ())
    minutes, hours = (",".join(map(str, sorted(values))) for values in (sim.minutes, sim.hours))
    return _Read(" ".join([minutes, hours, *fields[-3:]]), tuple(sorted(sim.seconds)))
