"""What an event costs does not grow with those that came before: read from the plans of the statements."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Event, Listener, Match, Subscription, Workspace
from agents.services.dispatching import Dispatcher
from agents.services.event_log import replay_event
from agents.services.events import emit_event
from agents.services.lines import skip_left_behind
from agents.services.looking_back import look_back
from tests.factories import make_listener, make_run

pytestmark = pytest.mark.django_db

HISTORY = 3_000
ENTRY = re.compile(r"INDEX (\w+)|[Uu]sing (\w+) on|(?:(?:Seq|Index) Scan on|SCAN) (\w+)(?! USING)(?= |$)")
GROWS = {"agents_event", "agents_match", "event_workspace", "event_name", "event_received", "match_subscription"}
"""By these all of a workspace, a name or a subscription is gone through, or the whole table."""


def entries(asked: CaptureQueriesContext) -> dict[str, list[str]]:
    """Give the indexes, and the tables read as a whole, by which statements come to their rows; with the statements."""
    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # These are few rows yet; where there are many, no table is read as a whole if that can be helped.
            cursor.execute("SET LOCAL enable_seqscan = off")
        for query in asked:
            sql = re.sub(r"^DECLARE .*? CURSOR .*?FOR ", "", query["sql"])
            if not re.match(r"(SELECT|UPDATE)\b.*agents_(event|match|flow)\b", sql, re.DOTALL):
                continue
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
            for row in cursor.fetchall():
                for name in ("".join(groups) for groups in ENTRY.findall(str(row[-1]))):
                    found.setdefault(name, []).append(sql)
    return found


def test_what_is_over_is_not_read(workspace: Workspace, subscribe: Callable[..., Subscription]) -> None:
    line = subscribe("line", pattern="order.held", flow={"overlap": "queue"})
    before = timezone.now() - timedelta(days=1)
    over = Event.objects.bulk_create(
        Event(workspace=workspace, name="order.held", received_at=before, dispatched_at=before) for _ in range(HISTORY)
    )
    Match.objects.bulk_create(
        Match(event=event, subscription=line, name="line", at=before, status=status, run_id=uuid4())
        for number, event in enumerate(over)
        for status in ("started" if number % 50 == 0 else "skipped",)
    )
    run = make_run(workspace)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE agents_event, agents_match, agents_flow")
    with CaptureQueriesContext(connection) as asked:
        emit_event(workspace, "nobody.wants.this")
        Dispatcher()()
        for _ in range(3):
            emit_event(workspace, "order.held")
            Dispatcher()()
        for pattern in ("order.held", "order.*", "*"):
            look_back([make_listener(run, pattern, pattern)])
        skip_left_behind()
        replay_event(over[0], by=None, key="once")

    assert Match.objects.filter(status="held").count() == 2
    assert not Listener.objects.exists()
    found = entries(asked)
    assert {"event_undispatched", "event_dispatched", "match_held", "match_started", "flow_workspace"} <= set(found)
    assert not {name: found[name] for name in GROWS & set(found)}
