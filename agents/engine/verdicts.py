"""What becomes of the questions that runs ask people: each is decided once, by a person or by its time.

Whoever decides changes the question's row by compare-and-set and tells the run, in one transaction under the lock of
the run's row.
"""

from __future__ import annotations

from django.db import transaction

from agents.engine import control
from agents.engine.asking import Verdict, answer_name, answer_token
from agents.engine.canonical import JSON
from agents.engine.database_clock import database_now
from agents.engine.interest import tell_of_decision
from agents.models import Approval, ApprovalStatus, Inbox, Run, User

BATCH = 100


def decide(approval: Approval, verdict: Verdict, data: dict[str, JSON], *, comment: str, by: User | None) -> bool:
    """Decide an open question, and tell its run; `data` goes to the run with it. False if it is not open any more.

    Raises CannotDo if the run has ended.
    """
    with transaction.atomic():
        control.lock(approval.run_id)
        now = database_now()
        is_open = Approval.objects.filter(pk=approval.pk, status=ApprovalStatus.OPEN, expires_at__gt=now)
        values = {"decision": data.get("value"), "comment": comment, "decided_at": now, "decided_by": by}
        if is_open.update(status=verdict, **values) != 1:
            return False
        name = by.get_username() if by is not None else "system"
        told = {**data, "verdict": verdict, "comment": comment, "by": name}
        if not control.tell(approval.run_id, answer_name(approval.key), told, token=answer_token(approval.pk)):
            raise control.CannotDo("The run has ended; there is nothing to decide any more.")
        tell_of_decision(approval)
    return True


def expire_due() -> tuple[int, float | None]:
    """Let those expire that nobody decided in time; give how many, and the seconds until the next."""
    open_ones = Approval.objects.filter(status=ApprovalStatus.OPEN).order_by("expires_at")
    next_ones = list(open_ones.only("id", "run_id", "key", "expires_at")[:BATCH])
    if not next_ones:
        return 0, None
    now = database_now()
    expired = sum(_expire(approval) for approval in next_ones if approval.expires_at <= now)
    later = [(approval.expires_at - now).total_seconds() for approval in next_ones if approval.expires_at > now]
    return expired, min(later, default=None)


def _expire(approval: Approval) -> bool:
    """Let a question expire, unless somebody holds its run at this moment: then the next sweep does."""
    with transaction.atomic():
        if not Run.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=approval.run_id).exists():
            return False
        is_open = Approval.objects.filter(pk=approval.pk, status=ApprovalStatus.OPEN)
        if is_open.update(status=ApprovalStatus.EXPIRED, decided_at=database_now()) != 1:
            return False
        name, token = answer_name(approval.key), answer_token(approval.pk)
        data = {"verdict": "expired", "comment": "", "by": ""}
        if not control.tell(approval.run_id, name, data, token=token):
            # The run has ended. Retried, it would otherwise wait for a decision that nobody can give.
            Inbox.objects.get_or_create(run_id=approval.run_id, token=token, defaults={"name": name, "data": data})
        tell_of_decision(approval)
    return True
