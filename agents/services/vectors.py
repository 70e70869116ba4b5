"""Passages found by likeness: each is made a vector once, when it is first searched for."""

from __future__ import annotations

from agents.models import Passage
from agents.services.vector_stores import AT_ONCE, current_store
from tools.types import FoundPassage
from tools.vectors import VectorStore, embed, embedder

MOST = 20_000
"""Passages that one search makes vectors for; those beyond get theirs by the next ones."""


def find_alike(workspace_id: int, query: str, limit: int, store: VectorStore | None = None) -> list[FoundPassage]:
    """Give the workspace's passages that are most like the query, the best first, each with its likeness."""
    store, chosen = store or current_store(), embedder()
    for _ in range(MOST // AT_ONCE):
        missing = store.missing(workspace_id, chosen.name, AT_ONCE)
        if not missing:
            break
        vectors = embed(chosen, [text for _, text in missing])
        store.put(workspace_id, chosen.name, zip([id for id, _ in missing], vectors, strict=True))
    matches = store.nearest(workspace_id, chosen.name, embed(chosen, [query])[0], limit)
    wanted = [match.id for match in matches if match.score > 0]
    found = Passage.objects.filter(workspace_id=workspace_id).select_related("document").defer("document__text")
    passages = found.in_bulk(wanted)
    return [
        FoundPassage(
            document_id=passages[match.id].document_id,
            title=passages[match.id].document.title,
            text=passages[match.id].text,
            start=passages[match.id].start,
            end=passages[match.id].end,
            score=match.score,
            url=passages[match.id].document.url,
        )
        for match in matches
        if match.id in passages
    ]
