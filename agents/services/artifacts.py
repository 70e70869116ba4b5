"""The files of runs, as tools read them."""

from __future__ import annotations

from uuid import UUID

from agents.engine.artifacts import FileArtifacts, check_name
from agents.engine.errors import Permanent
from agents.models import Artifact
from tools.errors import ToolFailed
from tools.types import File

MAX_BYTES = 10_000_000


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
        kept = Artifact.objects.filter(workspace_id=workspace_id, run_id=run_id)
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
