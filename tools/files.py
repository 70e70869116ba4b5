"""Files that come with a result: the whole of what a model gets to see only the beginning of."""

from __future__ import annotations

import re
from hashlib import blake2b

from tools.text import shorten
from tools.types import File

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


def file_name(title: str, of: str, extension: str) -> str:
    """Make a file's name: for people by its title, and for machines the same for the same, and for nothing else."""
    plain = _UNSAFE.sub("-", title).strip("-.")[:60] or "file"
    return f"{plain}-{blake2b(of.encode('utf-8', 'replace'), digest_size=4).hexdigest()}{extension}"


def shown_and_whole(text: str, limit: int, name: str, media_type: str) -> tuple[str, File | None]:
    """Give the beginning of a text and, if that is not all of it, a file with the whole."""
    if len(text) <= limit:
        return text, None
    return shorten(text, limit), File(name, media_type, text.encode("utf-8", "replace"))
