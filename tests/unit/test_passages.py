"""Cutting texts into passages, and words into terms."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.services.passages import LONGEST, split
from agents.services.terms import parse_query, terms_of

texts = st.text(alphabet=st.sampled_from("ab .!?\n\t#。漢 é\u2028"), max_size=6000) | st.text(max_size=300)


@given(texts)
def test_passages_cover_the_text_without_overlap(text: str) -> None:
    spans = split(text)
    at = 0
    for start, end in spans:
        assert start < end <= start + LONGEST
        assert text[at:start].strip() == ""
        assert text[start:end] == text[start:end].strip()
        at = end
    assert text[at:].strip() == ""


def test_short_paragraphs_go_together_and_a_heading_with_what_follows() -> None:
    filler = "One sentence of some length stands here. " * 6
    text = f"# First\n\n{filler}\n\n# Second\n\nIts text.\n\nMore of it."
    parts = [text[start:end] for start, end in split(text)]
    assert parts == [f"# First\n\n{filler.strip()}", "# Second\n\nIts text.\n\nMore of it."]


def test_a_long_paragraph_is_cut_after_a_sentence() -> None:
    text = "This sentence has exactly forty letters. " * 100
    parts = [text[start:end] for start, end in split(text)]
    assert all(part.endswith(".") for part in parts)
    assert len(parts) == 4


def test_a_text_without_any_space_is_cut_anyway() -> None:
    assert split("x" * (2 * LONGEST + 1)) == [(0, LONGEST), (LONGEST, 2 * LONGEST), (2 * LONGEST, 2 * LONGEST + 1)]


@pytest.mark.parametrize("text", ["", " ", "\n\n\n", "\u2028"])
def test_a_text_of_nothing_has_no_passages(text: str) -> None:
    assert split(text) == []


@pytest.mark.parametrize(
    "words",
    [
        ("approve", "approved", "approving", "approves"),
        ("run", "runs", "running"),
        ("policy", "policies"),
        ("box", "boxes"),
        ("process", "processes", "processed"),
        ("café", "Cafe", "CAFÉ", "cafe\u0301", "cafés"),
        ("straße", "STRASSE"),
        ("ﬁle", "file", "files"),
    ],
)
def test_forms_of_a_word_are_one_term(words: tuple[str, ...]) -> None:
    assert len({tuple(terms_of(word)) for word in words}) == 1


@pytest.mark.parametrize("word", ["bus", "gas", "need", "string", "this", "axis", "glass", "C", "v2", "2026", "한국어"])
def test_other_words_stay_as_they_are(word: str) -> None:
    assert len(terms_of(word)) == 1


def test_scripts_without_spaces_are_indexed_by_character() -> None:
    assert terms_of("日本語 text") == ["日", "本", "語", "text"]


def test_a_goal_is_a_query_of_its_telling_words() -> None:
    query = parse_query("Please find out what the refund policy is for broken kettles!")
    assert query.terms == ("refund", "polici", "broken", "kettl")


def test_phrases_and_exclusions() -> None:
    query = parse_query('"The quick fox" state-of-the-art -slow - dash -5 -x')
    assert query.phrases == (("the", "quick", "fox"),)
    assert query.excluded == ("slow",)
    assert "slow" not in query.terms
    assert {"quick", "fox", "art", "dash", "5", "x"} <= set(query.terms)


def test_a_query_of_little_words_means_them() -> None:
    assert parse_query("the who").terms == ("the", "who")


@given(st.text(max_size=500))
@example("\u3040 \u0e31")
def test_any_text_is_a_query(text: str) -> None:
    query = parse_query(text)
    for term in (*query.terms, *query.excluded):
        assert term.isalnum()
        assert len(term.encode()) < 400
