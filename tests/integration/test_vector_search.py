"""Passages found by likeness, of their workspace alone, by an embedder that can be another."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import pytest
from django.test import override_settings

from agents.models import Workspace
from agents.services.documents import add_document, remove_document
from agents.services.vectors import find_alike
from tests.factories import make_workspace
from tools.models import PassageVector
from tools.vectors import HashingEmbedder, normalized

pytestmark = pytest.mark.django_db

TEXTS = {
    "Returns": "Parcels may be returned within thirty days after delivery, unopened.",
    "Lamps": "A lamp of brass costs forty euros and is repaired free of charge.",
    "Hours": "The shop opens at nine and closes at six, except on Sundays.",
}


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


def test_each_passage_is_made_a_vector_once_and_goes_with_its_document(workspace: Workspace) -> None:
    find_alike(workspace.pk, "lamp", 3)
    kept = list(PassageVector.objects.values_list("pk", flat=True))
    assert len(kept) == len(TEXTS)
    document = add_document(workspace=workspace, title="Chairs", text="Chairs are sold in pairs.", by=None)
    assert find_alike(workspace.pk, "a pair of chairs", 1)[0].document_id == document.pk
    assert set(kept) < set(PassageVector.objects.values_list("pk", flat=True))
    remove_document(document, by=None)
    assert set(PassageVector.objects.values_list("pk", flat=True)) == set(kept)


def test_a_workspace_finds_its_own_alone(workspace: Workspace) -> None:
    assert find_alike(make_workspace().pk, "lamp", 3) == []


class Letters:
    """Counts the letters a to z."""

    name = "letters"

    def embed(self, texts: Sequence[str]) -> list[array[float]]:
        return [normalized([float(text.lower().count(chr(code))) for code in range(97, 123)]) for text in texts]


def test_another_embedder_has_vectors_of_its_own(workspace: Workspace) -> None:
    find_alike(workspace.pk, "lamp", 3)
    with override_settings(EMBEDDER=f"{__name__}.Letters"):
        assert find_alike(workspace.pk, TEXTS["Hours"], 1)[0].title == "Hours"
    assert PassageVector.objects.filter(embedder="letters").count() == len(TEXTS)
    assert PassageVector.objects.filter(embedder=HashingEmbedder.name).count() == len(TEXTS)


def test_what_has_no_words_is_like_nothing(workspace: Workspace) -> None:
    assert find_alike(workspace.pk, "!?", 3) == []
