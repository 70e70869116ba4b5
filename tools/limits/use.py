"""How much of a limit is in use now, as people are told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Count, Max, Sum

from tools.limits.store import LIVING, database_time
from tools.models import Limit, LimitClock, LimitPause, LimitPermit, LimitTicket


@dataclass(frozen=True, slots=True)
class Use:
    """The use of one limit; of one that ends in `*`, of all its names together.

    `running` is how many calls hold a permit, `waiting` how many runs are parked for it. `next_in` is after how many
    seconds a call that comes now could begin, behind those whose start is given out; `paused_for` how long the other
    side wants to be left alone. Of limits of calls that begin, what goes on is not counted: `running` is 0.
    """

    running: int = 0
    waiting: int = 0
    next_in: float = 0.0
    paused_for: float = 0.0

    @property
    def words(self) -> str:
        """Say it."""
        said = []
        if self.paused_for:
            said.append(f"paused for {self.paused_for:.0f} s")
        if self.running:
            said.append(f"{self.running} under way")
        if self.waiting:
            said.append(f"{self.waiting} waiting")
        if self.next_in >= 1:
            said.append(f"next in {self.next_in:.0f} s")
        return ", ".join(said) or "free"


def use_of(limits: Collection[Limit]) -> dict[int, Use]:
    """Give the use of each limit by its id."""
    now, ids = database_time(), [limit.pk for limit in limits]
    clocks = LimitClock.objects.filter(limit_id__in=ids)
    furthest = dict(clocks.values_list("limit_id").annotate(Max("next_at")))
    permits = LimitPermit.objects.filter(clock__limit_id__in=ids, worker__state__in=LIVING)
    running = dict(permits.values_list("clock__limit_id").annotate(Sum("held")))
    tickets = LimitTicket.objects.filter(clock__limit_id__in=ids)
    waiting = dict(tickets.values_list("clock__limit_id").annotate(Count("id")))
    pauses = dict(LimitPause.objects.filter(until__gt=now).values_list("key", "until"))
    return {
        limit.pk: Use(
            running=running.get(limit.pk, 0),
            waiting=waiting.get(limit.pk, 0),
            next_in=max(0.0, furthest.get(limit.pk, 0.0) - now),
            paused_for=max((until - now for key, until in pauses.items() if limit.covers(key)), default=0.0),
        )
        for limit in limits
    }
