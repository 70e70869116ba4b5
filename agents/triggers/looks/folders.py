"""Folders that the operator lets workspaces watch: new, changed and removed files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from django.conf import settings

from agents.models import Workspace
from agents.triggers.looks.base import JSON, Change, Look, State, Surroundings, text_of
from agents.triggers.looks.base import only as only_known
from tools.errors import ToolFailed, ToolRetry
from tools.threads import run_in_thread

MAX_FILES = 10_000
MAX_DEPTH = 20
MAX_NAMED = 200
"""Files that an event names; of more it gives the number."""
SETTLED_SECONDS = 5.0
"""A file that was written to since is taken when it has come to rest."""


def read_target(given: Mapping[str, JSON]) -> dict[str, JSON]:
    """Check `folder`, a name of the setting FOLDERS, and perhaps `pattern`, as in `*.csv`."""
    only_known(given, "folder", "pattern")
    pattern = text_of(given, "pattern", 200, needed=False)
    return {"folder": text_of(given, "folder", 60), **({"pattern": pattern} if pattern else {})}


def folders_for(workspace_id: int) -> dict[str, Path]:
    """Give the folders that a workspace may watch, by name."""
    return {name: Path(entry["path"]) for name, entry in settings.FOLDERS.items() if _is_for(entry, workspace_id)}


def find_folder(name: str, workspace_id: int) -> Path:
    """Give a folder that this workspace may watch; raises ToolFailed naming those there are."""
    known = folders_for(workspace_id)
    if name not in known:
        raise ToolFailed(f"No folder named {name[:60]!r} is registered. There are: {', '.join(known) or 'none'}.")
    return known[name]


async def look(target: Mapping[str, JSON], state: State | None, around: Surroundings) -> Look:
    """Look for files that are new, changed or gone; raises ToolsError if that can't be done."""
    return await run_in_thread(_look, target, state, around)


def _look(target: Mapping[str, JSON], state: State | None, around: Surroundings) -> Look:
    root = find_folder(str(target["folder"]), around.workspace_id)
    before: dict[str, list[int]] = (state or {}).get("files", {})
    pattern = str(target.get("pattern", "")) or "*"
    rests = (around.now().timestamp() - SETTLED_SECONDS) * 1e9
    now: dict[str, list[int]] = {}
    for name, status in _files(root):
        if not fnmatchcase(name.rpartition("/")[2], pattern):
            continue
        seen = [status.st_size, status.st_mtime_ns]
        if state is None or status.st_mtime_ns <= rests or before.get(name) == seen:
            now[name] = seen
        elif name in before:
            now[name] = before[name]
    if state is None:
        return Look({"files": now})
    found = {
        "new": sorted(now.keys() - before.keys()),
        "changed": sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
        "removed": sorted(before.keys() - now.keys()),
    }
    if not any(found.values()):
        return Look({"files": now})
    data: dict[str, JSON] = {"folder": target["folder"]}
    for what, names in found.items():
        data[what] = [
            {"name": name, "size": now[name][0]} if name in now else {"name": name} for name in names[:MAX_NAMED]
        ]
        data[f"{what}_count"] = len(names)
    return Look({"files": now}, (Change(data),))


def _files(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Give all files below a folder with their status; links are not followed, hidden ones not seen."""
    waiting: list[tuple[str, int]] = [("", 0)]
    count = 0
    while waiting:
        below, depth = waiting.pop()
        try:
            entries = list(os.scandir(root / below))
        except OSError as error:
            if below:
                continue  # It was removed in the meantime, or is not ours to read.
            raise ToolRetry(f"The folder can't be read: {error.strerror}.") from error
        for entry in entries:
            name = f"{below}{entry.name}"
            if entry.name.startswith(".") or not _is_text(name):
                continue
            if entry.is_dir(follow_symlinks=False) and depth < MAX_DEPTH:
                waiting.append((f"{name}/", depth + 1))
            elif entry.is_file(follow_symlinks=False):
                count += 1
                if count > MAX_FILES:
                    raise ToolFailed(f"The folder holds more than {MAX_FILES:,} files; watch one below it.")
                try:
                    yield name, entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_for(entry: Mapping[str, Any], workspace_id: int) -> bool:
    """Tell whether a workspace is one of those named; without any, all of them are."""
    slugs = entry.get("workspaces")
    return slugs is None or Workspace.objects.filter(pk=workspace_id, slug__in=slugs).exists()
