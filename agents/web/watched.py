"""What watchers look at, and what they know of it, in short."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from agents.models import Watcher, WatcherKind
from agents.web.wording import count

EXCERPT = 400


def known_of(watcher: Watcher) -> list[tuple[str, str]]:
    """Give what a watcher's last look saw, by name; nothing before the first one."""
    state = watcher.state
    if not isinstance(state, Mapping):
        return []
    told = [(word, str(state[name])) for name, word in _VALIDATORS if state.get(name)]
    return [*_seen(watcher.kind, state), *told]


_VALIDATORS = (("etag", "ETag"), ("last_modified", "Last-Modified"))


def _seen(kind: str, state: Mapping[str, Any]) -> list[tuple[str, str]]:
    if kind == WatcherKind.FEED:
        return [("Entries that it knows", count(_size(state.get("seen"))))]
    if kind == WatcherKind.FOLDER:
        return [("Files that it knows", count(_size(state.get("files"))))]
    if kind == WatcherKind.SQL:
        rows = state.get("rows")
        words = "too many to keep: it only sees whether they changed" if rows is None else count(_size(rows))
        return [("Rows that it knows", words)]
    text = str(state.get("text", ""))
    if not text:
        return [("Text", "none: its bytes are compared" if state.get("digest") else "none")]
    cut = f"{text[:EXCERPT]}…" if len(text) > EXCERPT else text
    return [("Text", f"{len(text):,} characters"), ("It begins", cut)]


def _size(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def is_due(watcher: Watcher) -> bool:
    """Whether it looks right now, or is about to: more is going to be seen soon."""
    if watcher.looking is not None:
        return True
    return watcher.fires_at is not None and watcher.fires_at <= timezone.now()
