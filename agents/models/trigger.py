"""Events, what they start and what they wake."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agents.models.agent import Agent
from agents.models.fields import JSONTextField
from agents.models.run import Run
from agents.models.workspace import Workspace

MAX_EVENT_NAME = 200


class Event(models.Model):
    """Something that happened: outside, in the project's data, or in the life of a run.

    It is written in the transaction of whoever tells of it, and dispatched by a worker a moment later, once.
    `event_id` is the source's own name for it: the same one from the same source is the same event.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="events", db_index=False)
    name = models.CharField(max_length=MAX_EVENT_NAME)
    data = JSONTextField(null=True, blank=True)
    source = models.CharField(max_length=200, blank=True, default="", db_default="")
    event_id = models.CharField(max_length=200, blank=True, default="", db_default="")
    attributes = JSONTextField(null=True, blank=True, help_text="What the source says besides: subject, headers.")
    occurred_at = models.DateTimeField(db_default=Now())
    received_at = models.DateTimeField(db_default=Now())
    tainted = models.BooleanField(
        default=False, db_default=False, help_text="Strangers may have written what it says: so has a run it starts."
    )
    to_run = models.ForeignKey(
        Run,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        related_name="signals",
        db_constraint=False,
        db_index=False,
        help_text="The one run that it is for: a signal.",
    )
    cause = models.ForeignKey(
        Run,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        related_name="emitted",
        db_constraint=False,
        db_index=False,
        help_text="The run that it comes from.",
    )
    replay_of = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="replays",
        help_text="The event that was dispatched once more as this one.",
    )
    depth = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="How many events in a row led to it, each by a run that another one started."
    )
    dispatched_at = models.DateTimeField(null=True, blank=True)

    is_new = True
    """False where a service gives back the event that was there already. Not kept."""

    class Meta:
        ordering = ("-id",)
        indexes = (
            # With a column that is always empty in it, by which SQLite sees that nothing else has to be read.
            models.Index(
                fields=("workspace", "id", "dispatched_at"),
                name="event_undispatched",
                condition=Q(dispatched_at__isnull=True),
            ),
            models.Index(fields=("workspace", "-id"), name="event_workspace"),
            # For runs that look back; on SQLite also for those that are not dispatched.
            models.Index(fields=("workspace", "dispatched_at"), name="event_dispatched"),
            models.Index(fields=("workspace", "name", "id"), name="event_name"),
            models.Index(fields=("to_run",), name="event_to_run", condition=Q(to_run__isnull=False)),
            models.Index(fields=("received_at",), name="event_received"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("workspace", "source", "event_id"), name="event_once", condition=~Q(event_id="")
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.pk}"


class SubscriptionState(models.TextChoices):
    """Whether events start runs by it."""

    ACTIVE = "active"
    PAUSED = "paused"
    DRAFT = "draft", "draft: it only says what it would have matched"


class Subscription(models.Model):
    """The rule "when an event like this comes, start that agent with this input".

    `pattern` is an event's whole name, or its beginning up to a dot with a `*`: `order.*`, or `*` for any.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="subscriptions", db_index=False)
    name = models.SlugField(max_length=60, db_index=False)
    pattern = models.CharField(max_length=MAX_EVENT_NAME)
    filter = JSONTextField(null=True, blank=True, help_text="What the event's data must be like; empty: anything.")
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="subscriptions")
    version = models.PositiveIntegerField(
        null=True, blank=True, help_text="The agent's version; empty: the one that is current when the event comes."
    )
    input = JSONTextField(null=True, blank=True, help_text="The run's input, with places for the event's data.")
    priority = models.SmallIntegerField(default=0)
    flow = JSONTextField(default=dict, blank=True, help_text="How many events lead to how many runs, and when.")
    state = models.CharField(max_length=10, choices=SubscriptionState.choices, default=SubscriptionState.DRAFT)
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)
        # In whatever state: also one that is paused, or a draft, lets the events be written that it is about.
        indexes = (models.Index(fields=("workspace", "pattern"), name="subscription_pattern"),)
        constraints = (
            models.UniqueConstraint(fields=("workspace", "name"), name="subscription_name_once"),
            models.CheckConstraint(condition=Q(state__in=SubscriptionState.values), name="subscription_state_known"),
        )

    def __str__(self) -> str:
        return self.name


class Flow(models.Model):
    """How far the flow control of a subscription has come, for one key: `state` is that of the pure functions.

    `due_at` is when held events may go on; `waits_for` is the run whose end they wait for.
    """

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="flows", db_index=False)
    workspace = models.ForeignKey(
        Workspace,
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
        help_text="The subscription's: what is due is looked for without it.",
    )
    key = models.CharField(max_length=200, blank=True)
    state = JSONTextField(default=dict)
    due_at = models.DateTimeField(null=True)
    waits_for = models.ForeignKey(
        Run, null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    touched_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("subscription", "key")
        indexes = (
            models.Index(fields=("due_at",), name="flow_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=("workspace", "due_at"), name="flow_workspace", condition=Q(due_at__isnull=False)),
            models.Index(fields=("waits_for",), name="flow_waiting", condition=Q(waits_for__isnull=False)),
        )
        constraints = (models.UniqueConstraint(fields=("subscription", "key"), name="flow_key_once"),)

    def __str__(self) -> str:
        return f"{self.subscription_id} {self.key}"


class MatchStatus(models.TextChoices):
    """What came of an event: at a subscription, or at a run that waited for it."""

    HELD = "held", "held back by the flow control"
    STARTED = "started", "it started a run"
    WOKE = "woke", "it woke a run that waited for it"
    SKIPPED = "skipped"
    FAILED = "failed", "no run could be started"


class Match(models.Model):
    """An event met a subscription: what it started, or why it did not. One row for each pair, whoever dispatches.

    Several events of a batch share one run. Where it woke a run there is no subscription, and `key` is the run's step.
    """

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="matches", db_index=False)
    subscription = models.ForeignKey(
        Subscription, null=True, on_delete=models.SET_NULL, related_name="matches", db_index=False
    )
    name = models.CharField(max_length=60, blank=True, help_text="The subscription's, which may be gone.")
    status = models.CharField(max_length=10, choices=MatchStatus.choices)
    reason = models.CharField(max_length=300, blank=True)
    key = models.CharField(max_length=200, blank=True, help_text="By which the flow control tells events apart.")
    run = models.ForeignKey(
        Run, null=True, on_delete=models.DO_NOTHING, related_name="matches", db_constraint=False, db_index=False
    )
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "matches"
        ordering = ("event", "id")
        indexes = (
            models.Index(fields=("run",), name="match_run", condition=Q(run__isnull=False)),
            models.Index(fields=("subscription", "-id"), name="match_subscription"),
            # What is held and what goes on is found among few, whatever a line has seen in its life.
            models.Index(fields=("subscription", "key", "id"), name="match_held", condition=Q(status=MatchStatus.HELD)),
            models.Index(
                fields=("subscription", "key", "-id"), name="match_started", condition=Q(status=MatchStatus.STARTED)
            ),
        )
        constraints = (
            models.UniqueConstraint(fields=("event", "subscription"), name="match_once"),
            models.CheckConstraint(condition=Q(status__in=MatchStatus.values), name="match_status_known"),
        )

    def __str__(self) -> str:
        return f"{self.event_id} {self.name} {self.status}"


class Listener(models.Model):
    """A run's wait for an event. It goes when the event was handed to the run.

    `has_looked_back` says that what came before the wait was looked through; until then an event that comes is not
    necessarily the first that fits.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, related_name="listeners", db_constraint=False, db_index=False
    )
    key = models.CharField(max_length=500)
    pattern = models.CharField(max_length=MAX_EVENT_NAME)
    filter = JSONTextField(null=True, blank=True)
    has_looked_back = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("id",)
        indexes = (models.Index(fields=("workspace", "pattern"), name="listener_pattern"),)
        constraints = (models.UniqueConstraint(fields=("run", "key"), name="listener_once"),)

    def __str__(self) -> str:
        return f"{self.run_id} {self.pattern}"
