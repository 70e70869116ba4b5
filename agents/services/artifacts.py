"""The files of runs, as tools read them and as people and programs download them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from agents.engine.artifacts import FileArtifacts, check_name, digest_of
from agents.engine.errors import Permanent
from agents.models import Artifact, Run, Workspace
from agents.models.artifact import ArtifactQuerySet
from agents.services.errors import NotFound
from tools.errors import ToolFailed
from tools.types import File

MAX_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The content of a file, open to be read; who got it closes it. `digest` is its SHA-256, in hexadecimal."""

    name: str
    media_type: str
    size: int
    digest: str
    content: BinaryIO


def artifact_store() -> FileArtifacts:
    """Give the store of this instance: a folder that all its machines share."""
    return FileArtifacts(settings.VAR_DIR / "artifacts")


def files_of(run: Run, *, tree: bool = False, superseded: bool = False) -> ArtifactQuerySet:
    """Give the files that a run, or all runs of its tree, have kept; those of replaced steps if asked for."""
    found = Artifact.objects.filter(workspace=run.workspace_id)
    if tree:
        top = run.root_id or run.pk
        found = found.filter(run__in=Run.objects.filter(Q(pk=top) | Q(root=top)))
    else:
        found = found.filter(run=run)
    return found if superseded else found.standing()


def file_of(workspace: Workspace, run_id: UUID, artifact_id: UUID) -> Artifact:
    """Give a file of a run of the workspace; raises NotFound."""
    found = Artifact.objects.filter(workspace=workspace, run=run_id, pk=artifact_id).first()
    if found is None:
        raise NotFound("There is no such file in this workspace.")
    return found


def open_file(artifact: Artifact) -> StoredFile:
    """Open the content of a file; raises NotFound if this machine does not have it as it was kept."""
    missing = NotFound(f"The content of {artifact.name} is not on this machine.")
    try:
        content = artifact_store().open(artifact.address)
    except (OSError, ValueError) as error:
        raise missing from error
    if os.fstat(content.fileno()).st_size != artifact.size:
        content.close()
        raise missing
    return StoredFile(artifact.name, artifact.media_type, artifact.size, digest_of(artifact.address), content)


class RunFiles:
    """Gives the files of a run by their names."""

    def __init__(self, store: FileArtifacts) -> None:
        self._store = store

    def load(self, workspace_id: int, run_id: UUID, name: str) -> File:
        """Give the latest file of this name that the run has kept; raises ToolFailed."""
        try:
            check_name(name)
        except Permanent as error:
            raise ToolFailed(str(error)) from error
        kept = Artifact.objects.filter(workspace_id=workspace_id, run_id=run_id).standing()
        artifact = kept.filter(name=name).order_by("-id").first()
        if artifact is None:
            names = sorted(set(kept.values_list("name", flat=True)[:50]))
            raise ToolFailed(
                f"This run has kept no file named {name[:100]!r}. There are: {', '.join(names) or 'none'}."
            )
        if artifact.size > MAX_BYTES:
            raise ToolFailed(f"{artifact.name} has {artifact.size:,} bytes; files of up to {MAX_BYTES:,} are read.")
        try:
            content = self._store.read(artifact.address)
        except (OSError, ValueError) as error:
            raise ToolFailed(f"The content of {artifact.name} is not on this machine.") from error
        return File(artifact.name, artifact.media_type, content)
