"""Passages found by likeness: each is made a vector once, when it is first searched for."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from django.db.models import Exists, OuterRef

from agents.models import Passage
from tools.models import PassageVector
from tools.types import FoundPassage
from tools.vectors import Match, VectorStore, best, embedder

AT_ONCE = 200
"""Texts that an embedder gets at a time."""
MOST = 20_000
"""Passages that one search makes vectors for; those beyond get theirs by the next ones."""


class TableStore:
    """Vectors in a table, compared one by one: some ten thousand passages take about a second."""

    def missing(self, workspace_id: int, embedder: str, limit: int) -> list[tuple[int, str]]:
        known = PassageVector.objects.filter(passage=OuterRef("pk"), embedder=embedder)
        passages = Passage.objects.filter(~Exists(known), workspace_id=workspace_id).order_by("pk")
        return list(passages.values_list("pk", "text")[:limit])

    def put(self, workspace_id: int, embedder: str, vectors: Iterable[tuple[int, array[float]]]) -> None:
        rows = [
            PassageVector(workspace_id=workspace_id, passage_id=id, embedder=embedder, vector=vector.tobytes())
            for id, vector in vectors
        ]
        # Somebody else may search at the same moment.
        PassageVector.objects.bulk_create(rows, batch_size=AT_ONCE, ignore_conflicts=True)

    def nearest(self, workspace_id: int, embedder: str, vector: array[float], limit: int) -> list[Match]:
        kept = PassageVector.objects.filter(workspace_id=workspace_id, embedder=embedder)
        rows = kept.values_list("passage_id", "vector").iterator(chunk_size=2000)
        return best(vector, ((id, bytes(raw)) for id, raw in rows), limit)


def find_alike(workspace_id: int, query: str, limit: int, store: VectorStore | None = None) -> list[FoundPassage]:
    """Give the workspace's passages that are most like the query, the best first, each with its likeness."""
    store, chosen = store or TableStore(), embedder()
    for _ in range(MOST // AT_ONCE):
        missing = store.missing(workspace_id, chosen.name, AT_ONCE)
        if not missing:
            break
        vectors = chosen.embed([text for _, text in missing])
        store.put(workspace_id, chosen.name, zip([id for id, _ in missing], vectors, strict=True))
    matches = store.nearest(workspace_id, chosen.name, chosen.embed([query])[0], limit)
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
