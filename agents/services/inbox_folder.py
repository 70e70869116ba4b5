"""A folder as inbox: what is put into `INBOX_FOLDER/<workspace>/` becomes a document and an event, once.

A file is taken when it has come to rest. What came of it is committed before the file is moved to `taken/` beside it;
if whoever did so dies in between, the next one finds the same file, and it is the same document and the same event.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from django.conf import settings
from django.db import transaction

from agents.engine.canonical import JSON
from agents.models import Workspace
from agents.services.documents import MAX_BYTES, add_document
from agents.services.errors import InvalidInput
from agents.services.events import emit_event

TAKEN = "taken"
UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".filepart", "~")
MAX_AT_ONCE = 50
"""Files that one look takes; the others follow with the next."""
MEDIA_TYPES = {
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".csv": "text/csv",
    ".json": "application/json",
}

log = structlog.get_logger(__name__)

Seen = tuple[int, int]
"""Size and time of a file's last change, in nanoseconds."""


@dataclass(slots=True)
class InboxFolder:
    """Looks into the folder again and again; a file that is the same at two looks has come to rest."""

    root: Path | None = None
    _seen: dict[Path, Seen] = field(default_factory=dict)

    def look(self) -> int:
        """Take what has come to rest since the last look; gives the number of files."""
        root = self.root or (Path(settings.INBOX_FOLDER) if settings.INBOX_FOLDER else None)
        if root is None:
            return 0
        now = dict(_files(root))
        rested = [path for path, seen in now.items() if self._seen.get(path) == seen][:MAX_AT_ONCE]
        self._seen = {path: seen for path, seen in now.items() if path not in rested}
        taken = 0
        for path in rested:
            workspace = Workspace.objects.filter(slug=path.parent.name).first()
            if workspace is not None and _take(workspace, path, now[path]):
                taken += 1
        return taken


def _files(root: Path) -> Iterator[tuple[Path, Seen]]:
    """Give the files of all workspaces' folders, without those that are being written and without links."""
    for folder in _entries(root):
        if not folder.is_dir(follow_symlinks=False) or folder.name.startswith("."):
            continue
        for entry in _entries(Path(folder.path)):
            if entry.name.startswith(".") or entry.name.endswith(UNFINISHED) or not entry.name.isprintable():
                continue
            with suppress(OSError):  # It was moved at this moment.
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield Path(entry.path), (status.st_size, status.st_mtime_ns)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        log.error("inbox_unreadable", folder=str(folder), why=error.strerror)
        return []


def _take(workspace: Workspace, path: Path, seen: Seen) -> bool:
    """Make a document and an event of a file, and move it; False if it is gone or still changes."""
    content = _read(path, seen)
    if content is None:
        return False
    size, changed_ns = seen
    digest = hashlib.sha256(content).hexdigest()
    with transaction.atomic():
        document, reason = _document(workspace, path, content, size)
        data: dict[str, JSON] = {
            "name": path.name,
            "size": size,
            "media_type": MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream"),
            "sha256": digest,
            "document": document,
            "reason": reason,
        }
        event_id = hashlib.sha256(f"{path.name}\n{changed_ns}\n{digest}".encode()).hexdigest()
        emit_event(workspace, "file.received", data, source="inbox", event_id=event_id, tainted=True)
    _move(path, digest)
    log.info("file_received", workspace=workspace.slug, name=path.name, document=document)
    return True


def _read(path: Path, seen: Seen) -> bytes | None:
    """Give the content of a file, at most what a document may have and a byte; None if it is not as it was seen."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or (status.st_size, status.st_mtime_ns) != seen:
            return None
        return file.read(MAX_BYTES + 1)


def _document(workspace: Workspace, path: Path, content: bytes, size: int) -> tuple[int | None, str]:
    """Give the id of the document that a file has become, or why it has become none."""
    media_type = MEDIA_TYPES.get(path.suffix.lower())
    if media_type is None:
        return None, f"Documents are made of {', '.join(MEDIA_TYPES)}."
    if size > MAX_BYTES:
        return None, f"A document has at most {MAX_BYTES:,} bytes."
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None, "It is not written in UTF-8."
    try:
        document = add_document(workspace=workspace, title=path.stem, text=text, media_type=media_type, by=None)
    except InvalidInput as error:
        return None, error.message
    return document.pk, ""


def _move(path: Path, digest: str) -> None:
    """Put a file where what was taken lies; one of the same name and content is there already or another's work."""
    folder = path.parent / TAKEN
    target = folder / path.name
    try:
        folder.mkdir(exist_ok=True)
        if target.exists():
            target = folder / f"{path.stem}-{digest[:12]}{path.suffix}"
        path.rename(target)
    except FileNotFoundError:
        return  # Another worker was sooner.
    except OSError as error:
        # It stays, and is known by its event: it is not told of again, but it is read at each look.
        log.error("inbox_not_movable", file=str(path), why=error.strerror)
