"""Ordinary tasks: handing them out, counting how often, and setting aside what can't be done.

django-q2 counts an attempt when a task ends; one that kills its worker never ends. Here a delivery counts when the task
is handed out. What was handed out to processes that are gone comes back at once, not when its retry time is over.
"""

from __future__ import annotations

import logging
import os
import pydoc
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from agents.engine.leases import host_id, process_start
from agents.engine.notify import announce
from agents.models import Delivery

logger = logging.getLogger(__name__)

MAX_DELIVERIES = max(1, int(Conf.MAX_ATTEMPTS or 3))


class Unreadable(Exception):
    """A message can't become a task; the text says why."""


def holder_name(pid: int | None, start: int | None) -> str:
    """Name the process (a sentinel) whose children work on a task."""
    return f"{host_id()}:{pid}:{start}"


def own_holder() -> str:
    """Name the sentinel of the present process, its parent."""
    parent = os.getppid()
    return holder_name(parent, process_start(parent))


def fetch(queue: str, holder: str) -> list[tuple[int, str]]:
    """Hand out due tasks, the longest due first; what can't be done is set aside."""
    now = timezone.now()
    due = OrmQ.objects.filter(key=queue, lock__lte=now)
    if not due.exists():
        return []
    with transaction.atomic():
        chosen = list(due.select_for_update(skip_locked=True).order_by("lock")[: Conf.BULK])
        ids = [row.pk for row in chosen]
        OrmQ.objects.filter(pk__in=ids).update(lock=now + timedelta(seconds=Conf.RETRY))
        known = {delivery.message: delivery for delivery in Delivery.objects.filter(message__in=ids)}
        handed_out = [row for row in chosen if _hand_out(row, known.get(row.pk), queue, holder)]
    return [(row.pk, row.payload) for row in handed_out]


def _hand_out(row: Any, delivery: Delivery | None, queue: str, holder: str) -> bool:
    delivery = delivery or Delivery(message=row.pk, queue=queue)
    delivery.holder, delivery.delivered_at = holder, timezone.now()
    try:
        delivery.name = delivery.name or read(row.payload)[:300]
        if delivery.count >= MAX_DELIVERIES:
            raise Unreadable(f"Handed out {delivery.count} times and never done: each time its worker died or hung.")
    except Unreadable as error:
        set_aside(row, delivery, str(error))
        return False
    delivery.count += 1
    delivery.save()
    return True


def read(payload: str) -> str:
    """Give the name of a message's function; raises Unreadable."""
    try:
        task = SignedPackage.loads(payload)
        function = task["func"]
        found = function if callable(function) else pydoc.locate(function)
    except Exception as error:
        # Whatever a damaged or outdated pickle does to its reader: only this message is to suffer.
        raise Unreadable(f"It can't be read: {type(error).__name__}: {error}"[:500]) from error
    if found is None:
        raise Unreadable(f"Its function {function} is not there.")
    return function if isinstance(function, str) else repr(function)


def set_aside(row: Any, delivery: Delivery, reason: str) -> None:
    """Take a message out of the queue and keep it with the reason, for a person to look at."""
    logger.error("task %s (%s) is set aside: %s", row.pk, delivery.name or "unreadable", reason)
    delivery.message, delivery.payload = None, row.payload
    delivery.reason, delivery.set_aside_at = reason[:500], timezone.now()
    delivery.save()
    row.delete()


def put_back(delivery: Delivery) -> None:
    """Queue a task again that was set aside, as if it were new."""
    with transaction.atomic():
        row = OrmQ.objects.create(key=delivery.queue, payload=delivery.payload, lock=timezone.now())
        delivery.message, delivery.payload, delivery.count = row.pk, "", 0
        delivery.reason, delivery.set_aside_at = "", None
        delivery.save()
        announce(queue=True)


def done(message: int) -> None:
    """Forget a task that is done."""
    with transaction.atomic():
        OrmQ.objects.filter(pk=message).delete()
        Delivery.objects.filter(message=message).delete()


def give_back(messages: Sequence[int]) -> None:
    """Let tasks be handed out again now, whose worker process died; the deliveries count."""
    if messages:
        OrmQ.objects.filter(pk__in=messages).update(lock=timezone.now())
        announce(queue=True)


def give_back_of(holder: str) -> None:
    """Let tasks be handed out again that a cluster held when it was stopped: that was not their fault."""
    with transaction.atomic():
        held = list(Delivery.objects.filter(holder=holder, message__isnull=False).values_list("message", flat=True))
        Delivery.objects.filter(message__in=held, count__gt=0).update(count=F("count") - 1, holder="")
        OrmQ.objects.filter(pk__in=held).update(lock=timezone.now())
        announce(queue=True)


def give_back_of_the_gone(queue: str) -> None:
    """Let tasks be handed out again whose cluster on this machine is gone."""
    here = host_id()
    held = Delivery.objects.filter(queue=queue, message__isnull=False, holder__startswith=f"{here}:")
    for holder in held.order_by().values_list("holder", flat=True).distinct():
        pid, _, start = holder.removeprefix(f"{here}:").partition(":")
        if str(process_start(int(pid))) != start:
            gone = held.filter(holder=holder)
            OrmQ.objects.filter(pk__in=gone.values("message")).update(lock=timezone.now())
            gone.update(holder="")
