"""The tables of limits, as the limiter uses them. All of it blocks, on a thread of the limiter's own."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Max, Min, QuerySet, Sum

from tools.limits.rules import Rule
from tools.limits.statements import (
    POSTGRES_NOW,
    POSTGRES_RESERVE,
    POSTGRES_ROW,
    SQLITE_NOW,
    SQLITE_RESERVE,
    SQLITE_ROW,
)
from tools.models import Limit, LimitClock, LimitPause, LimitPermit, LimitTicket, ToolResult

LIVING = ("alive", "draining")
STALE_TICKET = 60.0
"""Seconds after its time that a ticket is given up: its run was cancelled, or it no longer wants the call."""
IDLE_CLOCK = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Known:
    """The limits and pauses as they stand, `now` by the database's clock."""

    now: float
    rules: tuple[Rule, ...]
    pauses: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be reserved of one clock. `lead` is how many seconds the answer is expected to take.

    With `unless_queued` nothing is reserved if anybody has a ticket for it.
    """

    clock_id: int
    units: float
    step: float
    lead: float = 0.0
    unless_queued: bool = False


@dataclass(frozen=True, slots=True)
class Reserved:
    """A clock after a reservation: the first unit reserved begins at `next_at` less what was reserved."""

    clock_id: int
    next_at: float
    now: float
    has_tickets: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Whose call wants a ticket."""

    workspace_id: int
    run_id: UUID
    step_key: str


def database_time() -> float:
    """Give the seconds since 1970 on the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {POSTGRES_NOW if connection.vendor == 'postgresql' else SQLITE_NOW}")
        return float(cursor.fetchone()[0])


def look() -> Known:
    """Give all limits, and the pauses that are not over."""
    now = database_time()
    rules = tuple(
        Rule(each.pk, each.workspace_id, each.name, each.amount, each.period, each.burst, each.unit, each.at_once)
        for each in Limit.objects.all()
    )
    return Known(now, rules, dict(LimitPause.objects.filter(until__gt=now).values_list("key", "until")))


def find_clock(limit_id: int, key: str) -> tuple[int, float] | None:
    """Give the clock of a name under a limit and where it stands, made if need be; None if the limit is gone."""
    if not Limit.objects.filter(pk=limit_id).exists():
        return None
    LimitClock.objects.bulk_create([LimitClock(limit_id=limit_id, key=key)], ignore_conflicts=True)
    clock = LimitClock.objects.get(limit_id=limit_id, key=key)
    return clock.pk, clock.next_at


def reserve(wanted: Sequence[Wanted]) -> dict[int, Reserved]:
    """Reserve in one statement; clocks that are gone, and those that are queued for, are left out."""
    is_postgres = connection.vendor == "postgresql"
    template, row = (POSTGRES_RESERVE, POSTGRES_ROW) if is_postgres else (SQLITE_RESERVE, SQLITE_ROW)
    values = [
        value for each in wanted for value in (each.clock_id, each.units, each.step, each.lead, each.unless_queued)
    ]
    with connection.cursor() as cursor:
        cursor.execute(template.format(rows=", ".join([row] * len(wanted))), values)
        answers = [Reserved(id, next_at, float(now), bool(queued)) for id, next_at, now, queued in cursor.fetchall()]
    return {answer.clock_id: answer for answer in answers}


def give_back(units: Mapping[int, float]) -> None:
    """Put clocks back, or forward, by seconds: what was reserved was not what was used."""
    for clock_id, seconds in sorted(units.items()):
        LimitClock.objects.filter(pk=clock_id).update(next_at=F("next_at") + seconds)


def pause(key: str, seconds: float, reason: str) -> float:
    """Let no call that counts for `key` begin for so long, or for longer if others said so; gives when that is over."""
    until = database_time() + seconds
    with transaction.atomic():
        LimitPause.objects.filter(until__lt=until - seconds).delete()
        LimitPause.objects.bulk_create([LimitPause(key=key, until=until, reason=reason[:200])], ignore_conflicts=True)
        LimitPause.objects.filter(key=key, until__lt=until).update(until=until, reason=reason[:200])
    return until


def sweep(now: float) -> None:
    """Delete what nobody needs any more."""
    LimitTicket.objects.filter(due__lt=now - STALE_TICKET).delete()
    ToolResult.objects.filter(until__lt=now).delete()
    LimitClock.objects.filter(next_at__lt=now - IDLE_CLOCK, next_at__gt=0.0, permits=None).delete()


# -- places in the queue of a rate ------------------------------------------------------------------------------------


def queue_up(clock_id: int, step: float, start: float, places: Sequence[Place], now: float) -> list[float]:
    """Give each place a ticket, or find the one it has; gives when each is due.

    Within a workspace they stay in their order, and the workspaces take turns: a newcomer's rank begins where the queue
    stands, however long the others' backlogs are. `start` is when the clock could serve the first of them.
    """
    with transaction.atomic(savepoint=False):
        # One after the other: ranks are made of what is there.
        LimitClock.objects.select_for_update().filter(pk=clock_id).first()
        tickets = LimitTicket.objects.filter(clock_id=clock_id)
        tickets.filter(due__lt=now - STALE_TICKET).delete()
        known = {(ticket.run_id, ticket.step_key): ticket for ticket in _tickets_of(places, tickets)}
        new = [place for place in places if (place.run_id, place.step_key) not in known]
        made = [LimitTicket(clock_id=clock_id, **_columns(place), rank=rank) for place, rank in _ranks(new, tickets)]
        queue = sorted([*known.values(), *made], key=lambda ticket: ticket.rank)
        standing = list(
            tickets.exclude(pk__in=[ticket.pk for ticket in known.values()])
            .order_by("rank")
            .values_list("rank", flat=True)
        )
        for position, ticket in enumerate(queue):
            ticket.due = start + (bisect_left(standing, ticket.rank) + position) * step
        LimitTicket.objects.bulk_create(made)
        LimitTicket.objects.bulk_update(known.values(), ["due"])
    due = {(ticket.run_id, ticket.step_key): ticket.due for ticket in queue}
    return [due[place.run_id, place.step_key] for place in places]


def who_waits(clock_ids: Collection[int]) -> set[tuple[int, int]]:
    """Give (clock, workspace) of all that have tickets."""
    return set(LimitTicket.objects.filter(clock_id__in=clock_ids).values_list("clock_id", "workspace_id").distinct())


def ranks_of(clock_id: int, places: Sequence[Place]) -> dict[tuple[UUID, str], float]:
    """Give the ranks of those places that have tickets."""
    tickets = _tickets_of(places, LimitTicket.objects.filter(clock_id=clock_id))
    return {(ticket.run_id, ticket.step_key): ticket.rank for ticket in tickets}


def use_tickets(clock_id: int, places: Sequence[Place]) -> None:
    """Delete the tickets of those whose turn has come."""
    ids = [ticket.pk for ticket in _tickets_of(places, LimitTicket.objects.filter(clock_id=clock_id))]
    LimitTicket.objects.filter(pk__in=ids).delete()


def _columns(place: Place) -> dict[str, Any]:
    """Give a place as the columns of its ticket."""
    return {"workspace_id": place.workspace_id, "run_id": place.run_id, "step_key": place.step_key}


def _tickets_of(places: Sequence[Place], tickets: QuerySet[LimitTicket]) -> list[LimitTicket]:
    wanted = {(place.run_id, place.step_key) for place in places}
    found = tickets.filter(run_id__in={run_id for run_id, _ in wanted})
    return [ticket for ticket in found if (ticket.run_id, ticket.step_key) in wanted]


def _ranks(places: Sequence[Place], tickets: QuerySet[LimitTicket]) -> list[tuple[Place, float]]:
    """Give new places their ranks: each one behind the last of its workspace, which begins at the queue's front."""
    front = tickets.aggregate(front=Min("rank"))["front"] or 0.0
    latest = dict(tickets.values_list("workspace_id").annotate(Max("rank")))
    ranked = []
    for place in places:
        latest[place.workspace_id] = rank = max(latest.get(place.workspace_id, front), front) + 1
        ranked.append((place, rank))
    return ranked


# -- permits ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Permits:
    """What this process has of one clock's permits and how many more it wants, of `at_once` for all workers."""

    clock_id: int
    held: int
    more: int
    at_once: int


def take_permits(worker_id: int, wanted: Sequence[Permits]) -> dict[int, int]:
    """Write down what this worker holds and give it what is free; gives how many it got, by clock.

    Whoever writes is alone in its row and writes what it holds as a whole: asked again after a lost answer, nothing is
    counted twice.
    """
    ids = [each.clock_id for each in wanted]
    with transaction.atomic(savepoint=False):
        list(LimitClock.objects.select_for_update().filter(pk__in=ids).order_by("pk").values_list("pk", flat=True))
        others = LimitPermit.objects.filter(clock_id__in=ids, worker__state__in=LIVING).exclude(worker_id=worker_id)
        taken = dict(others.values_list("clock_id").annotate(Sum("held")))
        got = {each.clock_id: _free(each, taken.get(each.clock_id, 0)) for each in wanted}
        LimitPermit.objects.bulk_create(
            [
                LimitPermit(clock_id=each.clock_id, worker_id=worker_id, held=each.held + got[each.clock_id])
                for each in wanted
            ],
            update_conflicts=True,
            unique_fields=["clock", "worker"],
            update_fields=["held"],
        )
    return got


def drop_permits(worker_id: int) -> None:
    """Give back all that a worker holds."""
    LimitPermit.objects.filter(worker_id=worker_id).delete()


def _free(wanted: Permits, taken: int) -> int:
    return max(0, min(wanted.more, wanted.at_once - wanted.held - taken))
