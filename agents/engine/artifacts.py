"""Artifacts as files, named by the digest of their content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import NamedTemporaryFile


class FileArtifacts:
    """Keeps artifacts below a folder, by workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, workspace_id: int, content: bytes) -> str:
        """Store the content and give its address; the same content gives the same address."""
        digest = hashlib.sha256(content).hexdigest()
        address = f"{int(workspace_id)}/{digest[:2]}/{digest}"
        path = self.root / address
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(file.name, path)
        return address

    def path(self, address: str) -> Path:
        """Give the file of an address; raises ValueError for one that this store did not give."""
        path = (self.root / address).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise ValueError("This is not an address of an artifact.")
        return path
