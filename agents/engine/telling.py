"""Telling many runs something at once, in few statements: what `control.tell` does for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db.models import F

from agents.engine.canonical import JSON
from agents.engine.control import wait_record
from agents.engine.database_clock import database_now
from agents.engine.journal.transitions import is_due, met
from agents.engine.notify import announce
from agents.engine.queueing import queue
from agents.models import Inbox, Run, RunStatus, Wait


class Telling(NamedTuple):
    """What a run is told, for one of its steps; its token is new to the run."""

    run_id: UUID
    name: str
    data: JSON
    token: str


def lock_to_tell(ids: Iterable[UUID], *, wait: bool) -> dict[UUID, Run]:
    """Lock runs; those that others hold are left out unless the caller waits.

    Who waits comes to sub-runs before their parents, as those do who end a run.
    """
    runs = Run.objects.select_for_update(no_key=True, skip_locked=not wait).filter(pk__in=set(ids))
    return {run.pk: run for run in runs.order_by("-pk").only("id", "status", "last_event")}


def tell_locked(runs: Mapping[UUID, Run], told: Sequence[Telling]) -> None:
    """Tell runs that go on, locked by the caller, and queue those whose waits are met by it."""
    names: dict[UUID, list[str]] = defaultdict(list)
    for one in told:
        names[one.run_id].append(one.name)
    if not names:
        return
    now = database_now()
    Inbox.objects.bulk_create(
        Inbox(run_id=one.run_id, name=one.name, token=one.token, data=one.data, created_at=now) for one in told
    )
    Run.objects.filter(pk__in=names).update(wakes=F("wakes") + 1)
    parked = {run_id for run_id in names if runs[run_id].status == RunStatus.WAITING}
    waits: dict[UUID, list[Wait]] = defaultdict(list)
    for wait in Wait.objects.filter(run_id__in=parked):
        waits[wait.run_id].append(wait)
    woken = [run_id for run_id in names if run_id in parked and _are_met(waits[run_id], names[run_id])]
    Wait.objects.filter(run_id__in=woken).delete()
    if not queue([runs[run_id] for run_id in woken], "run_woken", {"by": "message"}, "woken"):
        # Those who drive the others look.
        announce(queue=True, live=True)


def _are_met(waits: Iterable[Wait], names: Iterable[str]) -> bool:
    """Tell whether a run with these waits goes on; if not, what they still wait for is noted."""
    left = [(wait, met(wait_record(wait), names)) for wait in waits]
    if is_due(record for _, record in left):
        return True
    for wait, record in left:
        if record.needed != wait.needed:
            Wait.objects.filter(pk=wait.pk).update(needed=record.needed)
    return False
