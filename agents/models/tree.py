"""What the runs of one tree share: the caps that hold for all of them."""

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
