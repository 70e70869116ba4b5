"""Limits, and what keeps them: clocks for rates, permits for what goes on at once, tickets for those who wait.

Times are seconds since 1970 on the database's clock, as numbers: the statements that reserve compute with them.
"""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

MAX_NAME = 200
DAY = 86_400.0


class Unit(models.TextChoices):
    """What a rate counts."""

    CALLS = "calls"
    TOKENS = "tokens"


class Limit(models.Model):
    """How many calls may begin in a period, how many may go on at once, or both.

    `name` is what tools and models count for: `tool:web_fetch`, `host:example.org`, `llm:openai`. A name that ends in
    `*` stands for each name that begins so, each by itself. Without a workspace the limit is one for all of them.
    """

    workspace = models.ForeignKey("agents.Workspace", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=MAX_NAME)
    amount = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="So many in each period."
    )
    period = models.FloatField(
        default=1.0, validators=[MinValueValidator(1.0), MaxValueValidator(DAY)], help_text="Seconds, at least 1."
    )
    burst = models.PositiveIntegerField(
        default=1,
        validators=[MinValueValidator(1)],
        help_text="So many may begin together after a rest; each beyond the first comes on top of the amount.",
    )
    unit = models.CharField(max_length=10, choices=Unit.choices, default=Unit.CALLS)
    at_once = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="So many may go on at the same time."
    )
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("name", "id")
        constraints = (
            models.UniqueConstraint(fields=("workspace", "name", "unit"), name="limit_once"),
            models.UniqueConstraint(
                fields=("name", "unit"), name="limit_once_for_all", condition=Q(workspace__isnull=True)
            ),
            models.CheckConstraint(
                condition=Q(amount__isnull=False) | Q(at_once__isnull=False), name="limit_limits_something"
            ),
            models.CheckConstraint(condition=Q(period__gte=1), name="limit_period_known"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def words(self) -> str:
        """Say what it allows."""
        said = []
        if self.amount is not None:
            burst = f", {self.burst} together after a rest" if self.burst > 1 else ""
            unit = self.unit.removesuffix("s") if self.amount == 1 else self.unit
            said.append(f"{self.amount:,} {unit} in {self.period:g} s{burst}")
        if self.at_once is not None:
            said.append(f"{self.at_once:,} at once")
        return "; ".join(said)

    def covers(self, key: str) -> bool:
        """Whether calls of this name count for it, as far as the name goes."""
        return is_covered(key, self.name)


def is_covered(key: str, name: str) -> bool:
    """Whether a name that calls count for is the one of a limit, or begins as one that ends in `*`."""
    return key.startswith(name[:-1]) if name.endswith("*") else key == name


class LimitClock(models.Model):
    """The rate of one name under a limit: `next_at` is when the next call would begin if all went on at full rate."""

    limit = models.ForeignKey(Limit, on_delete=models.CASCADE, related_name="clocks")
    key = models.CharField(max_length=MAX_NAME)
    next_at = models.FloatField(default=0.0, db_default=0.0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("limit", "key"), name="limit_clock_once"),)

    def __str__(self) -> str:
        return self.key


class LimitTicket(models.Model):
    """The place of a call whose run is parked until about `due`.

    `rank` orders them: within a workspace by their coming, and the workspaces in turn.
    """

    clock = models.ForeignKey(LimitClock, on_delete=models.CASCADE, related_name="tickets")
    workspace = models.ForeignKey("agents.Workspace", on_delete=models.CASCADE, related_name="+", db_index=False)
    run_id = models.UUIDField()
    step_key = models.CharField(max_length=500)
    rank = models.FloatField()
    due = models.FloatField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("run_id", "step_key", "clock"), name="limit_ticket_once"),)
        indexes = (models.Index(fields=("clock", "rank"), name="limit_ticket_rank"),)

    def __str__(self) -> str:
        return f"{self.step_key} of {self.run_id}"


class LimitPermit(models.Model):
    """How many calls a worker has under way. The permits of a worker that is not alive count for nothing."""

    clock = models.ForeignKey(LimitClock, on_delete=models.CASCADE, related_name="permits")
    worker = models.ForeignKey("agents.Worker", on_delete=models.CASCADE, related_name="+", db_constraint=False)
    held = models.PositiveIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("clock", "worker"), name="limit_permit_once"),)

    def __str__(self) -> str:
        return f"{self.held} of worker {self.worker_id}"


class LimitPause(models.Model):
    """The other side asked everybody to wait: no call that counts for `key` begins before `until`."""

    key = models.CharField(max_length=MAX_NAME, unique=True)
    until = models.FloatField()
    reason = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.key
