"""The one statement that reserves: for each clock, so many units at once, with the start time that they begin at.

It is the whole of the limiting: an UPDATE that puts the clock forward. Two processes that reserve at the same time wait
for each other at the row, and each gets start times that the other did not get.
"""

from __future__ import annotations

SQLITE_NOW = "((julianday('now') - 2440587.5) * 86400.0)"
"""Read once the statement has the write lock; of milliseconds."""
POSTGRES_NOW = "extract(epoch FROM clock_timestamp())::float8"

SQLITE_RESERVE = f"""
WITH wanted(id, units, step, lead, unless_queued) AS (VALUES {{rows}})
UPDATE tools_limitclock SET next_at = MAX(next_at, {SQLITE_NOW} + wanted.lead) + wanted.units * wanted.step
FROM wanted WHERE tools_limitclock.id = wanted.id AND NOT (wanted.unless_queued
    AND EXISTS (SELECT 1 FROM tools_limitticket WHERE tools_limitticket.clock_id = tools_limitclock.id))
RETURNING id, next_at, {SQLITE_NOW},
    EXISTS (SELECT 1 FROM tools_limitticket WHERE tools_limitticket.clock_id = tools_limitclock.id)
"""  # noqa: S608 (parameters alone are put in)
SQLITE_ROW = "(%s, %s, %s, %s, %s)"

# The rows are locked in the order of their ids, so that processes that reserve under several never lock each other out.
POSTGRES_RESERVE = f"""
WITH wanted(id, units, step, lead, unless_queued) AS (VALUES {{rows}}),
held AS MATERIALIZED (
    SELECT clock.id FROM tools_limitclock clock JOIN wanted USING (id) ORDER BY clock.id FOR NO KEY UPDATE OF clock
)
UPDATE tools_limitclock clock
SET next_at = GREATEST(clock.next_at, {POSTGRES_NOW} + wanted.lead) + wanted.units * wanted.step
FROM wanted JOIN held USING (id) WHERE clock.id = wanted.id AND NOT (wanted.unless_queued
    AND EXISTS (SELECT 1 FROM tools_limitticket ticket WHERE ticket.clock_id = clock.id))
RETURNING clock.id, clock.next_at, {POSTGRES_NOW},
    EXISTS (SELECT 1 FROM tools_limitticket ticket WHERE ticket.clock_id = clock.id)
"""  # noqa: S608 (parameters alone are put in)
POSTGRES_ROW = "(%s::bigint, %s::float8, %s::float8, %s::float8, %s::boolean)"
