"""Turns in threads: of a thread's runs one goes on at a time, in the order of their messages.

A message that comes while an earlier one is at work is a run that waits for its turn. Whose turn it is follows from
what the tables say, whoever ended the run before and however: so no wake-up is lost, and any worker's sweeps give it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from agents.engine.canonical import JSON, encode
from agents.engine.queueing import BATCH, queue
from agents.models import ACTIVE, Run, RunStatus, Thread, ThreadMessage, Wait, WaitKind

MAX_MESSAGES = 200
MAX_CHARACTERS = 200_000
"""What of a thread a message sees at most, its latest part."""
ITS_TURN = "waiting: its turn in the thread"
GOAL, EARLIER = "goal", "earlier"
"""What the input of a thread's run is made of."""


@dataclass(frozen=True, slots=True)
class Turns:
    """How many runs were given their turn, and for which runs, held by workers, others wait."""

    given: int = 0
    awaited: frozenset[UUID] = frozenset()


def give_turns() -> Turns:
    """Queue the runs whose turn it is, each with what was said before it."""
    if not Wait.objects.filter(kind=WaitKind.TURN).exists():
        return Turns()
    waiting = ThreadMessage.objects.filter(run__waits__kind=WaitKind.TURN)
    ready = list(_first_of_thread(waiting).values_list("run_id", flat=True)[:BATCH])
    given = _give(ready) if ready else 0
    at_work = ThreadMessage.objects.filter(thread__in=waiting.values("thread"), run__status=RunStatus.RUNNING)
    return Turns(given, frozenset(at_work.values_list("run_id", flat=True)[:BATCH]))


def _first_of_thread(messages: QuerySet[ThreadMessage]) -> QuerySet[ThreadMessage]:
    """Those before which nothing of their thread goes on any more, and that nobody has paused."""
    before = ThreadMessage.objects.filter(thread=OuterRef("thread"), number__lt=OuterRef("number"))
    paused = Wait.objects.filter(run=OuterRef("run"), kind=WaitKind.PAUSED)
    return messages.filter(~Exists(before.filter(run__status__in=ACTIVE)), ~Exists(paused))


def _give(ready: list[UUID]) -> int:
    with transaction.atomic():
        rows = Run.objects.select_for_update(skip_locked=True, no_key=True).filter(status=RunStatus.WAITING)
        locked = {run.id: run for run in rows.filter(id__in=ready).order_by("id")}
        # Asked anew under the locks: somebody may have paused one of them, or another sweep given it its turn.
        kinds = Wait.objects.filter(run_id__in=locked)
        turns = set(kinds.filter(kind=WaitKind.TURN).values_list("run_id", flat=True))
        paused = set(kinds.filter(kind=WaitKind.PAUSED).values_list("run_id", flat=True))
        runs = [locked[id] for id in turns - paused]
        for message in ThreadMessage.objects.filter(run__in=runs):
            heard, is_tainted = earlier_messages(message.thread_id, message.number)
            Run.objects.filter(pk=message.run_id).update(input=input_of(message.text, heard))
            if is_tainted:
                Run.objects.filter(pk=message.run_id).update(tainted=True)
        Wait.objects.filter(run_id__in=[run.id for run in runs]).delete()
        return queue(runs, "run_woken", {"by": "turn"}, "its turn has come")


def input_of(text: str, heard: list[JSON]) -> Any:
    """Give the input of a message's run: what is said now, and what was said before."""
    return {GOAL: text, **({EARLIER: heard} if heard else {})}


def earlier_messages(thread_id: UUID, number: int) -> tuple[list[JSON], bool]:
    """Give what people said before a message and what was answered, the oldest first.

    The second value says whether strangers may speak through the answers.
    """
    heard: list[JSON] = []
    room, is_tainted = MAX_CHARACTERS, False
    before = ThreadMessage.objects.filter(thread=thread_id, number__lt=number).select_related("run")
    for message in before.order_by("-number")[:MAX_MESSAGES]:
        said = [{"role": "user", "text": message.text}]
        if message.run.status == RunStatus.SUCCEEDED:
            said.append({"role": "assistant", "text": answer_text(message.run.output)})
        room -= sum(len(part["text"]) for part in said)
        if room < 0:
            break
        is_tainted |= len(said) > 1 and message.run.tainted
        heard = said + heard
    return heard, is_tainted


def answer_text(output: JSON) -> str:
    """Give a run's output as a text."""
    if isinstance(output, dict) and isinstance(output.get("text"), str):
        return str(output["text"])
    return output if isinstance(output, str) else encode(output)


def is_turn_of_another(run_id: UUID) -> bool:
    """Whether another run of the same thread goes on; holds the thread until the end of the transaction."""
    message = ThreadMessage.objects.filter(run=run_id).first()
    if message is None:
        return False
    Thread.objects.select_for_update(no_key=True).get(pk=message.thread_id)
    others = ThreadMessage.objects.filter(thread=message.thread_id, run__status__in=ACTIVE)
    return others.exclude(pk=message.pk).exists()
