"""Documents: kept once, cut into passages, found in their workspace only, the same on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.models import Document, Event, Passage, Workspace
from agents.services import documents
from agents.services.documents import add_document, find_passages, remove_document, search_documents
from agents.services.errors import InvalidInput

pytestmark = pytest.mark.django_db

REFUNDS = """# Refunds

A customer who is not content sends the goods back within 30 days and gets the price refunded.

# Shipping

Parcels leave the warehouse on weekdays. Shipping to islands takes five days longer.

# Guarantee

A broken kettle is repaired or exchanged for two years. The invoice has to be kept for that.
"""


@pytest.fixture
def workspace() -> Workspace:
    return Workspace.objects.create(slug="tea", name="Tea")


def add(workspace: Workspace, title: str, text: str, **options: Any) -> Document:
    return add_document(workspace=workspace, title=title, text=text, by=None, **options)


def titles(workspace: Workspace, query: str) -> list[str]:
    return [passage.document.title for passage in search_documents(workspace=workspace, query=query)]


def test_passages_are_verbatim_parts_of_their_document(workspace: Workspace) -> None:
    document = add(workspace, "Terms of sale", REFUNDS * 10 + "x")
    passages = list(Passage.objects.filter(document=document))
    assert len(passages) > 2
    assert [passage.number for passage in passages] == list(range(1, len(passages) + 1))
    for passage in passages:
        assert document.text[passage.start : passage.end] == passage.text


def test_a_new_document_is_an_event_and_the_same_text_is_none(workspace: Workspace) -> None:
    document = add(workspace, "Terms of sale", REFUNDS, url="https://example.org/terms")
    add(workspace, "Terms once more", REFUNDS)
    event = Event.objects.get()
    assert (event.workspace, event.name, event.source, event.tainted) == (
        workspace,
        "document.added",
        "documents",
        True,
    )
    assert event.data == {
        "document": document.pk,
        "title": "Terms of sale",
        "url": "https://example.org/terms",
        "media_type": "text/plain",
        "size": document.size,
        "by": None,
    }


def test_a_goal_in_plain_words_finds_the_passage(workspace: Workspace) -> None:
    add(workspace, "Refunds", "Send the goods back within 30 days and get the price refunded.")
    add(workspace, "Shipping", "Parcels leave the warehouse on weekdays. Islands take five days longer.")
    add(workspace, "Kettles", "A broken kettle is repaired or exchanged for two years.")
    assert titles(workspace, "How long does shipping to an island take?")[0] == "Shipping"
    assert titles(workspace, "When are goods refunded?")[0] == "Refunds"
    assert titles(workspace, "exchange of broken kettles")[0] == "Kettles"
    assert titles(workspace, "Who was the first astronaut?") == []


def test_rare_words_count_more_than_frequent_ones(workspace: Workspace) -> None:
    for number in range(20):
        add(workspace, f"Note {number}", f"Order number {number}: an order of tea in an order book. Order on.")
    add(workspace, "Samovar", "One order came with a samovar.")
    assert titles(workspace, "order order samovar")[0] == "Samovar"


def test_a_phrase_comes_first_and_an_exclusion_is_left_out(workspace: Workspace) -> None:
    add(workspace, "Apart", "First came the rain, then the light came, and the light stayed.")
    add(workspace, "Together", "At first light the boats went out, and nobody had told the children of it yet.")
    assert titles(workspace, '"first light"')[0] == "Together"
    assert titles(workspace, "light -boats") == ["Apart"]
    assert titles(workspace, "light -boats -rain") == []


def test_words_of_the_title_find_each_passage(workspace: Workspace) -> None:
    add(workspace, "Samovar manual", "Fill in water. Wait until it sings.")
    assert titles(workspace, "samovar") == ["Samovar manual"]


def test_accents_case_and_other_scripts(workspace: Workspace) -> None:
    add(workspace, "French", "Le café est fermé le lundi.")
    add(workspace, "Russian", "Чайник стоит на плите.")
    add(workspace, "Japanese", "お茶は熱いです。")
    assert titles(workspace, "CAFE ferme") == ["French"]
    assert titles(workspace, "чайник") == ["Russian"]
    assert titles(workspace, "茶") == ["Japanese"]


def test_no_search_leaves_its_workspace(workspace: Workspace) -> None:
    other = Workspace.objects.create(slug="coffee", name="Coffee")
    add(other, "Secret", "The secret recipe of the house.")
    assert titles(workspace, "secret recipe") == []
    assert titles(workspace, f"{other.pk} w:{other.pk} w {other.pk}") == []
    assert titles(other, "secret recipe") == ["Secret"]
    assert find_passages(workspace.pk, "secret", 5) == []


@pytest.mark.parametrize("title", ["workspace_id", "w:1", "NEAR", "AND", "terms"])
def test_words_of_the_index_s_own_language_are_words(workspace: Workspace, title: str) -> None:
    add(workspace, title, "Something else entirely.")
    assert titles(workspace, title) == [title]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.text(max_size=80) | st.text(alphabet="ab\"'()*:-+^{}&|!<>\\%_ \0\ud800ANDORNEAR", max_size=80))
def test_no_query_raises(query: str) -> None:
    workspace, _ = Workspace.objects.get_or_create(slug="tea", name="Tea")
    add(workspace, "A", "a b and or near")
    search_documents(workspace=workspace, query=query)
    connection.check_constraints()


def test_the_same_text_is_kept_once_per_workspace(workspace: Workspace) -> None:
    other = Workspace.objects.create(slug="coffee", name="Coffee")
    first = add(workspace, "A", "One text.\r\nOf two lines.")
    again = add(workspace, "B", "One text.\nOf two lines.")
    assert again.pk == first.pk
    assert again.title == "A"
    assert add(other, "A", "One text.\nOf two lines.").pk != first.pk
    assert Passage.objects.count() == 2


def test_what_is_removed_is_not_found(workspace: Workspace) -> None:
    document = add(workspace, "A", "A samovar sings.")
    add(workspace, "B", "A kettle whistles.")
    remove_document(document, by=None)
    assert titles(workspace, "samovar") == []
    assert Passage.objects.count() == 1
    add(workspace, "A", "A samovar sings.")
    assert titles(workspace, "samovar") == ["A"]
    workspace.delete()
    assert Passage.objects.count() == 0
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO agents_passage_search (agents_passage_search) VALUES ('integrity-check')")


def test_the_index_follows_the_table_whoever_writes_it(workspace: Workspace) -> None:
    document = add(workspace, "A", "A samovar sings.")
    Passage.objects.filter(document=document).update(terms="pot")
    assert titles(workspace, "samovar") == []
    assert titles(workspace, "pot") == ["A"]


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("text", {"text": ""}),
        ("text", {"text": " \n\t "}),
        ("text", {"text": "é" * (documents.MAX_BYTES // 2 + 1)}),
        ("url", {"url": "javascript:alert(1)"}),
        ("url", {"url": "https://example.org/" + "a" * 2000}),
        ("url", {"url": "http://[::1"}),
        ("media_type", {"media_type": "application/pdf"}),
    ],
)
def test_what_can_not_be_kept_is_refused(workspace: Workspace, field: str, options: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        add(workspace, "T", **{"text": "Text.", **options})
    assert caught.value.field == field


def test_odd_characters_are_cleaned(workspace: Workspace) -> None:
    document = add(workspace, " A\x00\n title " + "x" * 500, "One\x00 text \ud800 samovar")
    document.refresh_from_db()
    assert document.title.startswith("A\N{REPLACEMENT CHARACTER} title xxx")
    assert len(document.title) == documents.MAX_TITLE
    assert document.text == "One\N{REPLACEMENT CHARACTER} text \N{REPLACEMENT CHARACTER} samovar"
    assert len(search_documents(workspace=workspace, query="samovar")) == 1


def test_a_missing_title_is_taken_from_the_text(workspace: Workspace) -> None:
    assert add(workspace, "", "## On kettles\n\nThey boil.").title == "On kettles"


def test_a_document_of_the_largest_size_is_indexed(workspace: Workspace) -> None:
    text = ("Tea is a drink. " * 40 + "\n\n") * 7000 + "A samovar sings."
    add(workspace, "Large", text[: documents.MAX_BYTES - 20] + "\n\nA samovar sings.")
    [best, *_] = search_documents(workspace=workspace, query="does the samovar sing with tea")
    assert best.text.endswith("A samovar sings.")


def test_tools_get_what_they_cite(workspace: Workspace) -> None:
    document = add(workspace, "A", "A samovar sings.", url="https://example.org/a")
    [passage] = find_passages(workspace.pk, "samovar", 5)
    assert passage.source == f"document:{document.pk}"
    assert (passage.title, passage.url, passage.text) == ("A", "https://example.org/a", "A samovar sings.")
    assert document.text[passage.start : passage.end] == passage.text
    assert passage.score > 0


@pytest.mark.django_db(transaction=True)
def test_the_same_text_added_at_the_same_time_is_kept_once(workspace: Workspace) -> None:
    def add_one(_: int) -> int:
        try:
            return add(workspace, "A", "One text for all.").pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(add_one, range(8)))) == 1
    assert Passage.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_index_can_be_dropped_and_made_again_with_data(workspace: Workspace) -> None:
    migration = import_module("agents.migrations.0003_index_passages")
    add(workspace, "A", "A samovar sings.")
    with connection.schema_editor(atomic=False) as editor:
        migration.drop_index(apps, editor)
        migration.create_index(apps, editor)
    assert titles(workspace, "samovar") == ["A"]
