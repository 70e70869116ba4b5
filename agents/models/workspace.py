"""Tenants, their members and their API tokens."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from knox.models import AbstractAuthToken


class ApprovalPolicy(models.TextChoices):
    """When tool calls that act, send or write wait for a person. What a tool itself asks for holds in any case."""

    WHEN_TAINTED = "when_tainted", "once the run has read untrusted content"
    ALWAYS = "always", "always"
    DECLARED = "declared", "only where the tool itself asks for it"


class Workspace(models.Model):  # type: ignore[django-manager-missing]  # knox, whose token points here, is untyped
    """The tenant: everything belongs to exactly one."""

    slug = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=100)
    queue_tag = models.BigIntegerField(
        default=0, editable=False, help_text="Virtual time of the workspace's last queued run, in microseconds."
    )
    approval_policy = models.CharField(
        "calls with an effect wait for a person",
        max_length=20,
        choices=ApprovalPolicy.choices,
        default=ApprovalPolicy.WHEN_TAINTED,
    )
    approval_hours = models.PositiveIntegerField(
        "hours until an undecided call is refused", default=72, validators=(MinValueValidator(1),)
    )
    caps = models.JSONField(
        default=dict, blank=True, help_text="Of each tree of runs: steps, depth, children, seconds, tokens, usd."
    )
    max_running = models.PositiveIntegerField(
        "running at the same time",
        null=True,
        blank=True,
        validators=(MinValueValidator(1),),
        help_text="How many of its runs are at work at once; empty: as many as the workers take.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class Role(models.TextChoices):
    """What a member may do: read; also start and stop; also manage."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"


class Membership(models.Model):
    """A person's role in a workspace."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("workspace", "user"), name="membership_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
        )

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace} as {self.role}"


class Scope(models.TextChoices):
    """What a token may be used for."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class AuthToken(AbstractAuthToken):
    """An API token of one person in one workspace. Only its digest is kept."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100, blank=True)
    scopes = models.JSONField(default=list)
    last_used_at = models.DateTimeField(null=True, blank=True)
