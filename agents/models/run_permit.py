"""Who may be running, where the number of running runs is capped."""

from __future__ import annotations

from django.db import models

from agents.models.agent import Agent
from agents.models.run import Run
from agents.models.workspace import Workspace


class RunPermit(models.Model):
    """A run's place among the running runs of its workspace, its agent, and what its agent tells runs apart by.

    It is for one `epoch` of the run: it holds while the run is running in that epoch, or is queued to be claimed into
    it. Park, end, and the death of the worker make it void, whoever writes them; void ones are removed before
    another is given.
    """

    run = models.OneToOneField(
        Run,
        primary_key=True,
        on_delete=models.DO_NOTHING,
        related_name="permit",
        db_constraint=False,
        editable=False,
    )
    epoch = models.IntegerField(editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.CASCADE, related_name="+", db_constraint=False, editable=False
    )
    agent = models.ForeignKey(
        Agent,
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        db_constraint=False,
        db_index=False,
        editable=False,
    )
    key = models.CharField(max_length=150, blank=True, editable=False)
    granted_at = models.DateTimeField(editable=False)

    def __str__(self) -> str:
        return f"{self.run_id} in epoch {self.epoch}"
