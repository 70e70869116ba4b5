"""The lines in which flow control holds events: who may work on them, and what those do who don't dispatch."""

from __future__ import annotations

from django.db import connection

from agents.engine.database_clock import database_now
from agents.models import Flow, Match, MatchStatus, Subscription

LOCK_CLASS = 0x6576
"""Of PostgreSQL's advisory locks: with the workspace's number it says who dispatches its events."""


def hold_workspace(workspace_id: int, *, wait: bool = True) -> bool:
    """Hold the subscriptions and lines of a workspace until the transaction ends; tells whether it does.

    Who changes a subscription waits for whoever dispatches: what that has read would otherwise overwrite when the lines
    are to be looked at. On SQLite whoever writes is alone anyway.
    """
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_CLASS, workspace_id])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK_CLASS, workspace_id])
        return bool(cursor.fetchone()[0])


def look_again(subscription: Subscription) -> None:
    """Let the dispatcher look at all that a subscription holds, by the rules that hold now."""
    Flow.objects.filter(subscription=subscription).update(due_at=database_now(), waits_for=None)


def remove_with_lines(subscription: Subscription) -> None:
    """Remove a subscription. What it held starts nothing any more; the log of what it started stays."""
    held = Match.objects.filter(subscription=subscription, status=MatchStatus.HELD)
    held.update(status=MatchStatus.SKIPPED, reason="the subscription was removed")
    subscription.delete()


def skip_left_behind() -> int:
    """Let go of what was held by subscriptions that went with their agent; gives how many events."""
    # In the order of the index of what is held: SQLite would take another, by which all woken runs are gone through.
    held = Match.objects.filter(subscription__isnull=True, status=MatchStatus.HELD).order_by("key", "id")
    left = list(held.values_list("pk", flat=True)[:1_000])
    if not left:
        return 0
    return Match.objects.filter(pk__in=left).update(
        status=MatchStatus.SKIPPED, reason="the subscription went with its agent"
    )
