"""Runs: the queue, and the record of every execution."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.lookups import IsNull
from django.utils import timezone

from agents.models.agent import AgentVersion
from agents.models.fields import JSONTextField, uuid7
from agents.models.workspace import Workspace


class RunStatus(models.TextChoices):
    """The life of a run: queued → running → succeeded, failed or cancelled; waiting while it holds no worker."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
ACTIVE = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING)


UNPRICED = Q(cost_microusd__isnull=True, input_tokens__gt=0)
"""Steps that used a model of which nobody knows the price."""
CLOCKS_APART = timedelta(hours=1)
"""More than the clock by which an id was made may differ from the database's, by which `created_at` is."""


def _id_at(moment: datetime) -> UUID:
    """Give the least id of that time. Ids begin with the time, so their index finds runs by time too."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


class Wanted(models.TextChoices):
    """What somebody asked of a running run; its worker carries it out."""

    NONE = ""
    PAUSE = "pause"
    CANCEL = "cancel"


class RunQuerySet(models.QuerySet["Run"]):
    """Questions about runs."""

    def of(self, workspace: Workspace) -> Self:
        return self.filter(workspace=workspace)

    def few_of(self, workspace: Workspace) -> Self:
        """Those of a workspace, where another condition finds fewer: SQLite must not take the workspace's index."""
        return self.alias(place=F("workspace_id") + 0).filter(place=workspace.pk)

    def active(self) -> Self:
        # Not IN: each of the three has an index of its own, all runs that ever were have none.
        return self.filter(Q(status=RunStatus.QUEUED) | Q(status=RunStatus.RUNNING) | Q(status=RunStatus.WAITING))

    def created_after(self, moment: datetime) -> Self:
        return self.filter(created_at__gt=moment, id__gte=_id_at(moment - CLOCKS_APART))

    def created_before(self, moment: datetime) -> Self:
        return self.filter(created_at__lt=moment, id__lt=_id_at(moment + CLOCKS_APART))

    def ended(self) -> Self:
        return self.filter(status__in=ENDED)

    def with_prices(self) -> Self:
        """Tell of each, in the same query, whether all its costs are known."""
        # Not by EXISTS, which PostgreSQL answers for all runs that ever were in order to show some: it would collect
        # all steps without a price.
        step = apps.get_model("agents", "Step")._default_manager.filter(UNPRICED, run=OuterRef("pk")).order_by()
        return self.annotate(unpriced=IsNull(Subquery(step.values("pk")[:1]), False))

    def unpriced(self) -> Self:
        """Those that used a model of which nobody knows the price."""
        return self.filter(_has_unpriced_steps())


def _has_unpriced_steps() -> Exists:
    return Exists(apps.get_model("agents", "Step")._default_manager.filter(UNPRICED, run=OuterRef("pk")).order_by())


class Run(models.Model):
    """One execution of a workflow on one input.

    `status=queued` means due now: the runs table is the queue, ordered by `rank` (virtual time in microseconds).
    `(worker, epoch)` is the lease; every write of its holder is fenced by it. `wakes` counts what others told the run.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="runs", db_index=False)
    agent_version = models.ForeignKey(
        AgentVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="runs", db_index=False
    )
    workflow = models.CharField(max_length=100)
    # No constraints in the database on what the hot path writes: each would cost a locking read per row.
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        related_name="children",
        db_constraint=False,
        db_index=False,
    )
    parent_key = models.CharField(max_length=500, blank=True)
    root = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        related_name="tree",
        db_constraint=False,
        db_index=False,
        help_text="The run at the top of the tree; empty for that run itself.",
    )
    depth = models.PositiveSmallIntegerField(default=0)

    forked_from = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        related_name="forks",
        db_constraint=False,
        db_index=False,
        help_text="The run whose steps it has copies of.",
    )
    fork = JSONTextField(null=True, blank=True, help_text="Of a fork: from which step, what was edited, by whom.")

    status = models.CharField(max_length=10, choices=RunStatus.choices, default=RunStatus.QUEUED)
    reason = models.CharField(max_length=300, blank=True)
    wanted = models.CharField(max_length=10, choices=Wanted.choices, default=Wanted.NONE, blank=True)
    priority = models.SmallIntegerField(default=0)
    rank = models.BigIntegerField(default=0)

    input = JSONTextField(null=True, blank=True)
    output = JSONTextField(null=True, blank=True)
    error = JSONTextField(null=True, blank=True)

    worker = models.ForeignKey(
        "agents.Worker",
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        related_name="runs",
        db_constraint=False,
        db_index=False,
    )
    epoch = models.IntegerField(default=0)
    wakes = models.IntegerField(default=0)
    # With defaults in the database: what the hot path inserts knows nothing of crashes.
    suspect = models.BooleanField(
        default=False, db_default=False, help_text="Its worker died while it was at work: it runs alone until proven."
    )
    crashes = models.SmallIntegerField(
        default=0, db_default=0, help_text="How often in a row its worker died while it ran alone."
    )
    last_event = models.IntegerField(default=0)
    tainted = models.BooleanField(
        default=False, db_default=False, help_text="It has read what strangers may have written."
    )
    tools = JSONTextField(null=True, blank=True, help_text="The tools of the run above it; empty: not limited by one.")

    steps_done = models.IntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cost_microusd = models.BigIntegerField(default=0)
    budget = models.JSONField(
        null=True, blank=True, help_text="The caps of the run's tree that were set, by their names; a copy in each run."
    )
    deadline_at = models.DateTimeField(
        null=True, blank=True, help_text="When the run is ended whatever it does; what it starts ends no later."
    )

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    source = models.CharField(max_length=20, blank=True)
    tags = models.JSONField(default=list, blank=True)
    idempotency_key = models.CharField(max_length=200, blank=True)
    request_digest = models.CharField(max_length=32, blank=True)

    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("rank",), name="run_queue", condition=Q(status="queued")),
            models.Index(fields=("rank",), name="run_suspects", condition=Q(status="queued", suspect=True)),
            models.Index(fields=("worker",), name="run_worker", condition=Q(status="running")),
            models.Index(fields=("workspace", "-id"), name="run_workspace"),
            models.Index(fields=("workspace", "-id"), name="run_roots", condition=Q(parent__isnull=True)),
            models.Index(
                fields=("agent_version", "-id"), name="run_of_version", condition=Q(agent_version__isnull=False)
            ),
            models.Index(fields=("parent",), name="run_parent", condition=Q(parent__isnull=False)),
            models.Index(fields=("root",), name="run_root", condition=Q(root__isnull=False)),
            models.Index(fields=("forked_from",), name="run_forks", condition=Q(forked_from__isnull=False)),
            models.Index(fields=("workspace", "-id"), name="run_failed", condition=Q(status="failed")),
            models.Index(fields=("workspace", "-id"), name="run_waiting", condition=Q(status="waiting")),
            models.Index(
                fields=("deadline_at",),
                name="run_deadline",
                condition=Q(deadline_at__isnull=False, finished_at__isnull=True),
            ),
        )
        constraints = (
            models.CheckConstraint(condition=Q(status__in=RunStatus.values), name="run_status_known"),
            models.CheckConstraint(condition=Q(wanted__in=Wanted.values), name="run_wanted_known"),
            models.CheckConstraint(
                condition=Q(status="running", worker__isnull=False) | (~Q(status="running") & Q(worker__isnull=True)),
                name="run_leased_while_running",
            ),
            models.CheckConstraint(
                condition=Q(status__in=ENDED, finished_at__isnull=False)
                | (~Q(status__in=ENDED) & Q(finished_at__isnull=True)),
                name="run_finished_when_ended",
            ),
            models.CheckConstraint(condition=Q(epoch__gte=0) & Q(last_event__gte=0), name="run_counters_positive"),
            models.UniqueConstraint(
                fields=("workspace", "idempotency_key"), name="run_idempotent", condition=~Q(idempotency_key="")
            ),
        )

    def __str__(self) -> str:
        return f"{self.title} {self.id}"

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def is_priced(self) -> bool:
        """Whether its cost is all that it cost: of no model that it used is the price unknown."""
        if self.started_at is None and self.forked_from_id is None:
            return True  # It has never been at work, and has no step of another.
        known = self.__dict__.get("unpriced")
        return not (self.steps.filter(UNPRICED).exists() if known is None else known)

    @property
    def title(self) -> str:
        """The agent with its version, or the workflow of a run without an agent."""
        return str(self.agent_version) if self.agent_version is not None else self.workflow

    @property
    def goal(self) -> str:
        """One line that says what the run is for."""
        if isinstance(self.input, dict):
            for name in ("goal", "question", "text", "title"):
                if isinstance(self.input.get(name), str):
                    return str(self.input[name])
            if isinstance(self.input.get("inputs"), list):
                return f"{len(self.input['inputs']):,} inputs"
        if self.input is None or isinstance(self.input, str):
            return self.input or ""
        return json.dumps(self.input, ensure_ascii=False)
