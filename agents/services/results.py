"""What has become of the inputs of a map, also while it is under way: each has a sub-run, which keeps its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count

from agents.engine.windows import CALL
from agents.models import ACTIVE, Run, RunEvent, RunStatus
from agents.models.run import RunQuerySet

PROGRESS = "map"
"""The name under which the workflow of that name tells how many inputs there are."""


@dataclass(frozen=True, slots=True)
class MapProgress:
    """How many sub-runs of a map have which status.

    An input that is tried again has a sub-run for each time. `inputs` is how many there are; None if nobody has said.
    """

    counts: Mapping[str, int]
    inputs: int | None

    @property
    def succeeded(self) -> int:
        return self.counts.get(RunStatus.SUCCEEDED, 0)

    @property
    def failed(self) -> int:
        return self.counts.get(RunStatus.FAILED, 0) + self.counts.get(RunStatus.CANCELLED, 0)

    @property
    def under_way(self) -> int:
        return sum(self.counts.get(status, 0) for status in ACTIVE)


def progress_of(run: Run) -> MapProgress:
    """Say how far a run has come with its inputs."""
    counted = mapped(run).order_by().values_list("status").annotate(Count("pk"))
    told = RunEvent.objects.filter(run_id=run.pk, kind="progress").order_by("-number").first()
    data = told.data if told is not None and told.data.get("name") == PROGRESS else {}
    inputs = (data.get("data") or {}).get("of")
    return MapProgress({str(status): count for status, count in counted}, inputs if isinstance(inputs, int) else None)


def mapped(run: Run) -> RunQuerySet:
    """Give the sub-runs of a run's windows in the order in which they were queued."""
    below = Run.objects.filter(workspace=run.workspace_id, parent=run.pk)
    # Of all keys only these end with the bare word: any other call's is numbered.
    return below.filter(parent_key__endswith=f"/{CALL}").order_by("pk")
