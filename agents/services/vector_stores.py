"""Where vectors of passages are kept: in a plain table or, where PostgreSQL has the extension pgvector, in one of its.

The table of pgvector is made by `agentsite prepare` and not by a migration: whether the extension is there is the
operator's choice, and may change. All vectors of a workspace are compared, so that the nearest are the nearest; an
index would guess.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef

from agents.models import Passage
from tools.models import PassageVector
from tools.threads import computing
from tools.vectors import Match, VectorStore, best

AT_ONCE = 200
"""Texts that an embedder gets at a time, and vectors that are written at a time."""
_IS_THERE = "SELECT to_regclass('tools_passage_pgvector') IS NOT NULL"
_IS_AVAILABLE = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector')"
_CREATE = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    "CREATE TABLE tools_passage_pgvector ("
    " passage_id bigint NOT NULL REFERENCES agents_passage (id) ON DELETE CASCADE,"
    " embedder varchar(60) NOT NULL, workspace_id bigint NOT NULL, vector vector NOT NULL,"
    " PRIMARY KEY (passage_id, embedder))",
    "CREATE INDEX tools_passage_pgvector_workspace ON tools_passage_pgvector (workspace_id, embedder)",
)


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
        with computing():
            return best(vector, ((id, bytes(raw)) for id, raw in rows), limit)


class PgVectorStore:
    """Vectors in a column of their own type."""

    def missing(self, workspace_id: int, embedder: str, limit: int) -> list[tuple[int, str]]:
        sql = (
            "SELECT id, text FROM agents_passage WHERE workspace_id = %s AND NOT EXISTS (SELECT FROM"
            " tools_passage_pgvector kept WHERE kept.passage_id = agents_passage.id AND kept.embedder = %s)"
            " ORDER BY id LIMIT %s"
        )
        return _rows(sql, [workspace_id, embedder, limit])

    def put(self, workspace_id: int, embedder: str, vectors: Iterable[tuple[int, array[float]]]) -> None:
        sql = (
            "INSERT INTO tools_passage_pgvector (passage_id, embedder, workspace_id, vector)"
            " VALUES (%s, %s, %s, %s::vector) ON CONFLICT DO NOTHING"
        )
        with connection.cursor() as cursor:
            cursor.executemany(sql, [[id, embedder, workspace_id, _written(vector)] for id, vector in vectors])

    def nearest(self, workspace_id: int, embedder: str, vector: array[float], limit: int) -> list[Match]:
        sql = (
            "SELECT passage_id, 1 - (vector <=> %s::vector) FROM tools_passage_pgvector"
            " WHERE workspace_id = %s AND embedder = %s ORDER BY vector <=> %s::vector, passage_id LIMIT %s"
        )
        written = _written(vector)
        return [Match(*row) for row in _rows(sql, [written, workspace_id, embedder, written, limit])]


def current_store() -> VectorStore:
    """Give the store that this database can have."""
    is_there = connection.vendor == "postgresql" and _rows(_IS_THERE)[0][0]
    return PgVectorStore() if is_there else TableStore()


def ensure_table() -> bool:
    """Make the table if it is not there and the database has pgvector; tells whether it is there now.

    Vectors that were made before are taken over: another embedder's may have cost money.
    """
    if connection.vendor != "postgresql":
        return False
    if _rows(_IS_THERE)[0][0]:
        return True
    if not _rows(_IS_AVAILABLE)[0][0]:
        return False
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in _CREATE:
                cursor.execute(statement)
            _take_over()
    except DatabaseError:
        # The role may not create extensions: then an operator does, or the plain table serves.
        return False
    return True


def _take_over() -> None:
    rows = PassageVector.objects.values_list("workspace_id", "embedder", "passage_id", "vector")
    for workspace_id, embedder, passage_id, raw in rows.iterator(chunk_size=AT_ONCE):
        PgVectorStore().put(workspace_id, embedder, [(passage_id, array("f", bytes(raw)))])


def _written(vector: array[float]) -> str:
    return f"[{','.join(map(repr, vector))}]"


def _rows(sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
