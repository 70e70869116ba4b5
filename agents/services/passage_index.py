"""The full text index of passages, in the words of each database.

Terms reach SQL only as parameters, and only letters and digits get into them (agents/services/terms.py), so that the
query languages of the indexes have nothing to misread. The workspace is a term of the index itself: a search touches no
entry of another workspace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from django.db.backends.base.base import BaseDatabaseWrapper

MANY = 2_000
"""Frequencies are counted up to here; a term with more passages is common, however many they are."""


class PassageIndex(Protocol):
    """What a search needs of the index."""

    def frequencies(self, workspace_id: int, terms: Sequence[str]) -> dict[str, int]:
        """Give for each term in how many passages it occurs, at most MANY."""
        ...

    def candidates(
        self, workspace_id: int, weights: Mapping[str, float], excluded: Iterable[str], limit: int
    ) -> list[int]:
        """Give the ids of the passages that match best, in a first rough order."""
        ...


def of(connection: BaseDatabaseWrapper) -> PassageIndex:
    """Give the index of this connection's database."""
    return PostgresIndex(connection) if connection.vendor == "postgresql" else SqliteIndex(connection)


class SqliteIndex:
    """FTS5, ranked by its bm25. The workspace is a column of its own without weight."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection

    def frequencies(self, workspace_id: int, terms: Sequence[str]) -> dict[str, int]:
        one = (
            "SELECT %s, (SELECT count(*) FROM (SELECT 1 FROM agents_passage_search"
            " WHERE agents_passage_search MATCH %s LIMIT %s))"
        )
        parameters: list[object] = []
        for term in terms:
            parameters += [term, self._match(workspace_id, [term], []), MANY]
        return dict(_rows(self._connection, " UNION ALL ".join([one] * len(terms)), parameters))

    def candidates(
        self, workspace_id: int, weights: Mapping[str, float], excluded: Iterable[str], limit: int
    ) -> list[int]:
        if not weights:
            return []
        rows = _rows(
            self._connection,
            "SELECT rowid FROM agents_passage_search WHERE agents_passage_search MATCH %s"
            " ORDER BY bm25(agents_passage_search, 0.0, 1.0), rowid LIMIT %s",
            [self._match(workspace_id, weights, excluded), limit],
        )
        return [row[0] for row in rows]

    @staticmethod
    def _match(workspace_id: int, terms: Iterable[str], excluded: Iterable[str]) -> str:
        any_of = " OR ".join(f'"{term}"' for term in terms)
        match = f'(workspace_id : "{workspace_id:d}") AND (terms : ({any_of}))'
        none_of = " OR ".join(f'"{term}"' for term in excluded)
        return f"({match}) NOT (terms : ({none_of}))" if none_of else match


class PostgresIndex:
    """A tsvector without language, so that it holds just our terms; ranked by the weights of those that match."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection

    def frequencies(self, workspace_id: int, terms: Sequence[str]) -> dict[str, int]:
        sql = (
            "SELECT term, (SELECT count(*) FROM (SELECT 1 FROM agents_passage"
            " WHERE workspace_id = %s AND search @@ match::tsquery LIMIT %s) AS found)"
            " FROM unnest(%s::text[], %s::text[]) AS wanted (term, match)"
        )
        matches = [self._match(workspace_id, [term], []) for term in terms]
        return dict(_rows(self._connection, sql, [workspace_id, MANY, list(terms), matches]))

    def candidates(
        self, workspace_id: int, weights: Mapping[str, float], excluded: Iterable[str], limit: int
    ) -> list[int]:
        if not weights:
            return []
        rows = _rows(
            self._connection,
            "SELECT id FROM agents_passage WHERE workspace_id = %s AND search @@ %s::tsquery"
            " ORDER BY (SELECT sum(weight) FROM unnest(%s::text[], %s::float8[]) AS wanted (term, weight)"
            " WHERE search @@ term::tsquery) DESC, id LIMIT %s",
            [
                workspace_id,
                self._match(workspace_id, weights, excluded),
                [f"'{term}'" for term in weights],
                list(weights.values()),
                limit,
            ],
        )
        return [row[0] for row in rows]

    @staticmethod
    def _match(workspace_id: int, terms: Iterable[str], excluded: Iterable[str]) -> str:
        any_of = " | ".join(f"'{term}'" for term in terms)
        match = f"'w:{workspace_id:d}' & ({any_of})"
        none_of = " | ".join(f"'{term}'" for term in excluded)
        return f"{match} & !({none_of})" if none_of else match


def _rows(connection: BaseDatabaseWrapper, sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
