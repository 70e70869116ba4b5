"""Threads: conversations of runs of one agent."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from agents.models.agent import Agent
from agents.models.fields import uuid7
from agents.models.run import Run
from agents.models.workspace import Workspace


class BusyPolicy(models.TextChoices):
    """What becomes of a message to a thread in which an earlier one is at work."""

    ENQUEUE = "enqueue", "it waits for its turn"
    INTERRUPT = "interrupt", "what is at work is cancelled, then it has its turn"
    REJECT = "reject", "it is refused"


class Thread(models.Model):
    """A conversation with an agent. Each message is a run that sees the earlier ones; one goes on at a time."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="threads", db_index=False)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="threads")
    title = models.CharField(max_length=200, blank=True)
    policy = models.CharField(max_length=10, choices=BusyPolicy.choices, default=BusyPolicy.ENQUEUE)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("workspace", "-id"), name="thread_workspace"),)
        constraints = (models.CheckConstraint(condition=Q(policy__in=BusyPolicy.values), name="thread_policy_known"),)

    def __str__(self) -> str:
        return self.title or f"thread {self.id}"


class ThreadMessage(models.Model):
    """What a person said in a thread, and the run that answers it. Numbered 1, 2, 3… within the thread."""

    thread = models.ForeignKey(Thread, on_delete=models.CASCADE, related_name="messages", db_index=False)
    number = models.PositiveIntegerField()
    text = models.TextField()
    run = models.OneToOneField(Run, on_delete=models.DO_NOTHING, related_name="message", db_constraint=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("thread", "number")
        constraints = (models.UniqueConstraint(fields=("thread", "number"), name="thread_message_numbered_once"),)

    def __str__(self) -> str:
        return f"{self.number} in {self.thread_id}"
