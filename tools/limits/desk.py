"""Start times for calls: what one process reserves of the clocks of rates, in as few statements as can be.

All of it blocks, on the limiter's thread.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from tools.limits import store
from tools.limits.rules import Rule
from tools.limits.store import Known, Permits, Place, Reserved, Wanted
from tools.limits.timekeeping import Timekeeping

SLOW = 0.01
"""Seconds of an answer's way from which start times are asked for that lie as far ahead."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One call that wants a start time of a rule's clock. `again` if an earlier one was missed by this process."""

    rule: Rule
    key: str
    place: Place
    units: float = 1.0
    is_resumed: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """The call may begin at `at`, and not long after."""

    at: float


@dataclass(frozen=True, slots=True)
class Later:
    """Not soon: it has a ticket, and is to come back at `due`."""

    due: float


@dataclass(slots=True)
class _Clock:
    """A clock as this process last saw it."""

    id: int
    next_at: float
    has_tickets: bool = False


@dataclass(slots=True)
class _Line:
    """Those who ask for one clock now: who gets a start time, and who has to come back.

    `has_looked` tells that others with tickets are minded; else there must be none when start times are reserved.
    """

    clock: _Clock
    asks: Sequence[Ask]
    has_looked: bool = False
    served: list[Ask] = field(default_factory=list)
    holders: list[Ask] = field(default_factory=list)
    later: list[Ask] = field(default_factory=list)

    @property
    def rule(self) -> Rule:
        return self.asks[0].rule

    @property
    def units(self) -> float:
        return sum(ask.units for ask in self.served)


class Desk:
    """Answers asks, many at once. `statements` counts what the database was asked, the borders of transactions too."""

    def __init__(self, horizon: float) -> None:
        """`horizon` is how many seconds ahead start times are given out; who had to wait longer gets a ticket."""
        self.times = Timekeeping()
        self.statements = 0
        self._horizon = horizon
        self._clocks: dict[tuple[int, str], _Clock] = {}
        self._lead = 0.0

    def counted(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Count a statement; for Django's connection."""
        self.statements += 1
        return execute(sql, params, many, context)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Open a transaction, whose borders are statements as well."""
        # Django sends SQLite's BEGIN as it sends other statements; the other borders the driver sends.
        self.statements += 1 if connection.vendor == "sqlite" else 2
        with transaction.atomic():
            yield

    def now(self) -> float:
        """Give the database's time, as far as this process can be sure of it."""
        return self.times.at_least(time.monotonic())

    def serve(self, asks: Sequence[Ask]) -> list[Start | Later | None]:
        """Answer each ask, None if its limit is gone."""
        with connection.execute_wrapper(self.counted):
            lines = self._lines(asks)
            answers: dict[int, Start | Later] = {}
            lines, reserved = self._reserved(lines)
            for line in lines:
                answers.update(self._starts(line, reserved.get(line.clock.id)))
                answers.update(self._laters(line))
        return [answers.get(id(ask)) for ask in asks]

    def clock(self, rule: Rule, key: str) -> int | None:
        """Give the id of a name's clock under a rule, None if the limit is gone."""
        with connection.execute_wrapper(self.counted):
            clock = self._clock(rule, key)
        return clock.id if clock else None

    def known_clock(self, rule: Rule, key: str) -> int | None:
        """Give the id of a clock that was used before, without asking anybody."""
        known = self._clocks.get((rule.limit_id, key))
        return known.id if known else None

    def forget(self) -> None:
        """Know no clock any more: each is looked up when it is asked for next."""
        self._clocks = {}

    def look(self) -> Known:
        """See the store's."""
        with connection.execute_wrapper(self.counted):
            return store.look()

    def take_permits(self, worker_id: int, wanted: Sequence[Permits]) -> dict[int, int]:
        """See the store's."""
        with connection.execute_wrapper(self.counted), self._transaction():
            return store.take_permits(worker_id, wanted)

    def give_back(self, seconds: Mapping[int, float]) -> None:
        """See the store's."""
        with connection.execute_wrapper(self.counted):
            store.give_back(seconds)

    # -- who gets a start time -----------------------------------------------------------------------------------

    def _lines(self, asks: Sequence[Ask]) -> list[_Line]:
        groups: dict[tuple[int, str], list[Ask]] = defaultdict(list)
        for ask in asks:
            groups[ask.rule.limit_id, ask.key].append(ask)
        lines = []
        for group in groups.values():
            clock = self._clock(group[0].rule, group[0].key)
            if clock is not None:
                lines.append(self._line(clock, group))
        return lines

    def _line(self, clock: _Clock, asks: Sequence[Ask]) -> _Line:
        line = _Line(clock, asks)
        resumed = [ask for ask in asks if ask.is_resumed]
        ranks = store.ranks_of(clock.id, [ask.place for ask in resumed]) if resumed else {}
        line.has_looked = clock.has_tickets or bool(resumed)
        queued = store.who_waits([clock.id]) if line.has_looked else set()
        now, step, slack = self.now(), line.rule.step, line.rule.slack
        reached = max(clock.next_at, now)
        for ask in _in_order(asks, ranks):
            rank = ranks.get((ask.place.run_id, ask.place.step_key))
            is_behind = rank is None and (clock.id, ask.place.workspace_id) in queued
            if ask.again or not (is_behind or reached - slack > now + self._horizon):
                line.served.append(ask)
                reached += ask.units * step
                if rank is not None:
                    line.holders.append(ask)
            else:
                line.later.append(ask)
        return line

    def _clock(self, rule: Rule, key: str) -> _Clock | None:
        known = self._clocks.get((rule.limit_id, key))
        if known is None:
            found = store.find_clock(rule.limit_id, key)
            if found is None:
                return None
            known = self._clocks[rule.limit_id, key] = _Clock(*found)
        return known

    # -- answers -------------------------------------------------------------------------------------------------

    def _reserved(self, lines: Sequence[_Line]) -> tuple[list[_Line], dict[int, Reserved]]:
        """Reserve for all; where somebody has queued up since this process last saw a clock, they are minded."""
        reserved = self._reserve([line for line in lines if line.served])
        minded: dict[int, _Line] = {}
        for line in lines:
            if line.served and not line.has_looked and line.clock.id not in reserved:
                line.clock.has_tickets = True
                minded[line.clock.id] = self._line(line.clock, line.asks)
        reserved |= self._reserve([line for line in minded.values() if line.served])
        return [minded.get(line.clock.id, line) for line in lines], reserved

    def _reserve(self, lines: Sequence[_Line]) -> dict[int, Reserved]:
        if not lines:
            return {}
        wanted = [
            Wanted(line.clock.id, line.units, line.rule.step, self._lead, unless_queued=not line.has_looked)
            for line in lines
        ]
        sent = time.monotonic()
        reserved = store.reserve(sorted(wanted, key=lambda each: each.clock_id))
        received = time.monotonic()
        for answer in reserved.values():
            self.times.observe(sent, received, answer.now)
        self._lead = received - sent if received - sent > SLOW else 0.0
        return reserved

    def _starts(self, line: _Line, reserved: Reserved | None) -> Iterable[tuple[int, Start]]:
        if not line.served:
            return
        if reserved is None:
            # The limit was removed: its clock went with it.
            self._clocks.pop((line.rule.limit_id, line.served[0].key), None)
            return
        clock = line.clock
        clock.next_at, clock.has_tickets = reserved.next_at, reserved.has_tickets
        if line.holders:
            store.use_tickets(line.clock.id, [ask.place for ask in line.holders])
        next_at = reserved.next_at - line.units * line.rule.step
        for ask in line.served:
            yield id(ask), Start(max(reserved.now, next_at - line.rule.slack))
            next_at += ask.units * line.rule.step

    def _laters(self, line: _Line) -> Iterable[tuple[int, Later]]:
        if not line.later:
            return
        now = self.now()
        start = max(line.clock.next_at, now) - line.rule.slack
        places = [ask.place for ask in line.later]
        line.clock.has_tickets = True
        with self._transaction():
            dues = store.queue_up(line.clock.id, line.rule.step, start, places, now)
        for ask, due in zip(line.later, dues, strict=True):
            yield id(ask), Later(due)


def _in_order(asks: Sequence[Ask], ranks: dict[tuple[UUID, str], float]) -> list[Ask]:
    """Who missed a start time first, then those with tickets by rank, then the others: the workspaces in turn."""
    turns: dict[int, int] = defaultdict(int)
    order = []
    for position, ask in enumerate(asks):
        rank = ranks.get((ask.place.run_id, ask.place.step_key))
        if ask.again:
            order.append((0, 0.0, position, ask))
        elif rank is not None:
            order.append((1, rank, position, ask))
        else:
            order.append((2, float(turns[ask.place.workspace_id]), position, ask))
            turns[ask.place.workspace_id] += 1
    return [ask for _, _, _, ask in sorted(order, key=lambda entry: entry[:3])]
