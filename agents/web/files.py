"""The files that the page of a run shows."""

from __future__ import annotations

from dataclasses import dataclass

from agents.models import Artifact, Run
from agents.services.artifacts import files_of

SHOWN, COUNTED = 20, 1_000


@dataclass(frozen=True, slots=True)
class FilesShown:
    """The newest files of a run's tree, its own first; `hidden` are not among them."""

    own: list[Artifact]
    others: list[Artifact]
    hidden: int

    @property
    def count(self) -> int:
        return len(self.own) + len(self.others) + self.hidden


def files_shown(run: Run) -> FilesShown:
    """Give the files that a run's page shows: those of the run, and of the other runs of its tree."""
    all_files = files_of(run, tree=True)
    count = all_files.order_by()[:COUNTED].count()
    if not count:
        return FilesShown([], [], 0)
    newest = all_files.select_related("run__agent_version__agent").order_by("-pk")
    own = list(newest.filter(run=run)[:SHOWN])
    others = list(newest.exclude(run=run)[: SHOWN - len(own)])
    return FilesShown(own[::-1], others[::-1], count - len(own) - len(others))


def file_of_step(run: Run, key: str) -> Artifact | None:
    """Give the file that a step has kept."""
    return files_of(run, superseded=True).filter(key=key).order_by("-pk").first()
