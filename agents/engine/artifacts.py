"""Artifacts as files, named by the digest of their content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from uuid_utils.compat import uuid7

from agents.engine.canonical import JSON, clean_text, encode
from agents.engine.errors import Permanent
from agents.engine.happening_records import EmittedRecord
from agents.engine.records import ArtifactRecord

if TYPE_CHECKING:
    from agents.engine.execution import Execution
    from agents.engine.plans import Attempt


MAX_NAME = 200
ADDED = "artifact.added"
"""The event of each file that a run keeps."""


async def keep_file(x: Execution, attempt: Attempt, name: str, content: bytes, media_type: str) -> JSON:
    """Store a file and have it recorded with the attempt's outcome; gives its id, name and size in bytes.

    Raises Permanent for what is no name of a file, and for a second file of one step.
    """
    check_name(name)
    if attempt.artifact is not None:
        raise Permanent("A step keeps one file.", "NoArtifact")
    address = await x.host.in_thread(x.host.ports.artifacts.write, x.claimed.workspace_id, content)
    kind = clean_text(media_type)[:100]
    attempt.artifact = ArtifactRecord(uuid7(), attempt.key, name, kind, len(content), address, x.stamp())
    return {"id": attempt.artifact.id, "name": name, "size": len(content)}


def record_file(x: Execution, artifact: ArtifactRecord) -> None:
    """Have a file written with the step that kept it, as a row, as a line of the run's log and as an event."""
    change = x.change()
    change.artifacts.append(artifact)
    x.log("artifact_saved", {"id": artifact.id, "name": artifact.name, "size": artifact.size})
    told = {
        "artifact": str(artifact.id),
        "run": str(x.id),
        "step": artifact.key,
        "name": artifact.name,
        "media_type": artifact.media_type,
        "size": artifact.size,
    }
    change.emitted.append(EmittedRecord(ADDED, encode(told), "artifacts", artifact.created_at, x.is_tainted))


def check_name(name: str) -> None:
    """Raise Permanent for a name that is none: of a path, with signs that can't be seen, or too long.

    Files are found by the digest of their content and not by their name. But names are handed on, to whoever downloads
    them or writes them to a disk.
    """
    if not 0 < len(name) <= MAX_NAME:
        raise Permanent(f"The name of a file has 1 to {MAX_NAME} characters.", "BadName")
    if not name.isprintable() or any(sign in name for sign in "/\\:") or name[0] in " .":
        raise Permanent(f"{name[:60]!r} is no name of a file: no path, no leading dot, only visible signs.", "BadName")


def digest_of(address: str) -> str:
    """Give the SHA-256 of the content that was stored at an address, in hexadecimal."""
    return address.rpartition("/")[2]


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

    def read(self, address: str) -> bytes:
        """Give what was stored; raises ValueError for what this store did not give, FileNotFoundError, OSError."""
        with self.open(address) as file:
            content = file.read()
        if hashlib.sha256(content).hexdigest() != digest_of(address):
            raise ValueError("This file is not the one that was stored.")
        return content

    def open(self, address: str) -> BinaryIO:
        """Open what was stored, to be read by parts; raises what `read` does. Nothing compares it with its digest."""
        # A link in the place of the file leads elsewhere.
        return os.fdopen(os.open(self.path(address), os.O_RDONLY | os.O_NOFOLLOW), "rb")

    def path(self, address: str) -> Path:
        """Give the file of an address; raises ValueError for one that this store did not give."""
        path = (self.root / address).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise ValueError("This is not an address of an artifact.")
        return path
