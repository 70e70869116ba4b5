"""Questions that runs ask people."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from agents.models.fields import JSONTextField, uuid7
from agents.models.run import ENDED, Run
from agents.models.workspace import Workspace


class ApprovalKind(models.TextChoices):
    """What a person is asked: whether something may be done, or for an answer."""

    APPROVE = "approve", "may it be done?"
    ASK = "ask", "question"


class ApprovalStatus(models.TextChoices):
    """The life of a question. It is decided once; withdrawn is one that its run no longer asks."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    ANSWERED = "answered"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class ApprovalQuerySet(models.QuerySet["Approval"]):
    """Questions about questions."""

    def waiting(self) -> ApprovalQuerySet:
        """Those that a person can decide now. Of a run that has ended nobody needs to know."""
        return self.filter(status=ApprovalStatus.OPEN).exclude(run__status__in=ENDED)


class Approval(models.Model):
    """One question of a run to a person, and what was decided.

    It is about exactly these `arguments` of `subject` as it was described then: `binding` is a digest of both. For a
    tool call `tool` names the tool; `form` is the JSON schema that edited arguments, or an answer, must fit. Nothing
    follows from it for any later call.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="approvals", db_index=False)
    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, related_name="approvals", db_constraint=False, db_index=False
    )
    key = models.CharField(max_length=500, help_text="The step of the run that asks.")
    kind = models.CharField(max_length=10, choices=ApprovalKind.choices)
    subject = models.CharField(max_length=200)
    tool = models.CharField(max_length=100, blank=True)
    effect = models.TextField(blank=True, help_text="What doing it means, in words.")
    why = models.TextField(blank=True, help_text="Why a person is asked.")
    arguments = JSONTextField(null=True)
    form = JSONTextField(null=True)
    binding = models.CharField(max_length=32, blank=True)
    status = models.CharField(max_length=10, choices=ApprovalStatus.choices, default=ApprovalStatus.OPEN)
    asked_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    decision = JSONTextField(null=True, help_text="The arguments as they were approved, or the answer.")
    comment = models.TextField(blank=True)

    objects = ApprovalQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("workspace", "-id"), name="approval_workspace"),
            models.Index(fields=("workspace", "-id"), name="approval_open", condition=Q(status="open")),
            models.Index(fields=("expires_at",), name="approval_due", condition=Q(status="open")),
            models.Index(fields=("run",), name="approval_run"),
        )
        constraints = (
            models.UniqueConstraint(fields=("run", "key"), name="approval_open_once", condition=Q(status="open")),
            models.CheckConstraint(condition=Q(kind__in=ApprovalKind.values), name="approval_kind_known"),
            models.CheckConstraint(condition=Q(status__in=ApprovalStatus.values), name="approval_status_known"),
        )

    def __str__(self) -> str:
        return self.subject
