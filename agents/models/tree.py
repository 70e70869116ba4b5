"""What the runs of one tree share: the caps that hold for all of them, and the places that some of them need."""

from __future__ import annotations

from django.db import models

from agents.models.run import Run


class Tree(models.Model):
    """What is reserved of the caps of a tree of runs; what is spent stands in its runs.

    `holds` says for each worker, by its id, how much its runs may take beyond what is recorded: a worker that is gone
    holds nothing. Only trees with caps have a row.
    """

    root = models.OneToOneField(
        Run, primary_key=True, on_delete=models.CASCADE, related_name="+", db_constraint=False, editable=False
    )
    holds = models.JSONField(default=dict, editable=False)

    def __str__(self) -> str:
        return str(self.root_id)


class Lane(models.Model):
    """Runs of which only so many may be at work at once: those of a workspace, of an agent, of a concurrency key."""

    key = models.CharField(max_length=200, unique=True)

    def __str__(self) -> str:
        return self.key


class Place(models.Model):
    """A run's place in a lane, for the lease of `epoch`.

    It counts while the run is queued for that very lease, or at work under it: whatever ends the lease frees it.
    """

    lane = models.ForeignKey(Lane, on_delete=models.CASCADE, related_name="places")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="places", db_constraint=False)
    epoch = models.IntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("lane", "run"), name="place_once"),)

    def __str__(self) -> str:
        return f"{self.run_id} in {self.lane_id}"
