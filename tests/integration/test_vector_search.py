"""Passages found by likeness, of their workspace alone, by an embedder that can be another."""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence

import psycopg
import pytest
from django.db import connection
from django.test import override_settings

from agents.models import Workspace
from agents.services.documents import add_document, remove_document
from agents.services.vector_stores import TableStore, current_store, ensure_table
from agents.services.vectors import find_alike
from tests.factories import make_workspace
from tools.vectors import HashingEmbedder, normalized

pytestmark = pytest.mark.django_db

TEXTS = {
    "Returns": "Parcels may be returned within thirty days after delivery, unopened.",
    "Lamps": "A lamp of brass costs forty euros and is repaired free of charge.",
    "Hours": "The shop opens at nine and closes at six, except on Sundays.",
}


def stores() -> list[str]:
    """Give the kinds of store that this database can have: pgvector is not everywhere, and nothing is skipped."""
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        return ["plain"]
    with psycopg.connect(url, autocommit=True) as server:
        available = server.execute("SELECT name FROM pg_available_extensions WHERE name='vector'").fetchone()
    return ["plain", "pgvector"] if available else ["plain"]


@pytest.fixture(params=stores(), autouse=True)
def store(request: pytest.FixtureRequest, db: None) -> str:
    """Search in each kind of store that this database can have."""
    kind: str = request.param
    if kind == "pgvector":
        assert ensure_table()
    return kind


@pytest.fixture
def workspace() -> Workspace:
    made = make_workspace()
    for title, text in TEXTS.items():
        add_document(workspace=made, title=title, text=text, by=None)
    return made


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("How long do I have for returning a parcel?", "Returns"),
        ("repairing brass lamps", "Lamps"),
        ("openning hours of the shp on sunday", "Hours"),
    ],
)
def test_likeness_finds_other_forms_of_the_words(workspace: Workspace, query: str, title: str) -> None:
    found = find_alike(workspace.pk, query, 2)
    assert found[0].title == title
    assert TEXTS[title][found[0].start : found[0].end] == found[0].text
    assert found[0].score >= found[-1].score


def test_each_passage_is_made_a_vector_once_and_goes_with_its_document(workspace: Workspace, store: str) -> None:
    find_alike(workspace.pk, "lamp", 3)
    kept = vectors(store)
    assert len(kept) == len(TEXTS)
    document = add_document(workspace=workspace, title="Chairs", text="Chairs are sold in pairs.", by=None)
    assert find_alike(workspace.pk, "a pair of chairs", 1)[0].document_id == document.pk
    assert kept < vectors(store)
    remove_document(document, by=None)
    assert vectors(store) == kept


def vectors(store: str) -> set[tuple[int, str]]:
    """Give (passage, embedder) of all that is kept, in whichever table it has to be."""
    tables = {"plain": "tools_passagevector", "pgvector": "tools_passage_pgvector"}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT passage_id, embedder FROM {tables[store]}")  # noqa: S608 (names of our own)
        return set(cursor.fetchall())


def test_a_workspace_finds_its_own_alone(workspace: Workspace) -> None:
    assert find_alike(make_workspace().pk, "lamp", 3) == []


class Letters:
    """Counts the letters a to z."""

    name = "letters"

    def embed(self, texts: Sequence[str]) -> list[array[float]]:
        return [normalized([float(text.lower().count(chr(code))) for code in range(97, 123)]) for text in texts]


def test_another_embedder_has_vectors_of_its_own(workspace: Workspace, store: str) -> None:
    find_alike(workspace.pk, "lamp", 3)
    with override_settings(EMBEDDER=f"{__name__}.Letters"):
        assert find_alike(workspace.pk, TEXTS["Hours"], 1)[0].title == "Hours"
    embedders = [embedder for _, embedder in vectors(store)]
    assert embedders.count("letters") == embedders.count(HashingEmbedder.name) == len(TEXTS)


def test_what_has_no_words_is_like_nothing(workspace: Workspace) -> None:
    assert find_alike(workspace.pk, "!?", 3) == []


def test_both_stores_find_the_same_and_what_the_plain_one_had_is_taken_over(workspace: Workspace, store: str) -> None:
    query = "openning hours of the shp"
    plain = find_alike(workspace.pk, query, 3, TableStore())
    if store == "pgvector":
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE tools_passage_pgvector")
        assert ensure_table()
        assert vectors("pgvector") == vectors("plain")
    found = find_alike(workspace.pk, query, 3, current_store())
    assert [passage.text for passage in found] == [passage.text for passage in plain]
    assert [passage.score for passage in found] == pytest.approx([passage.score for passage in plain], abs=1e-5)
