"""Sentences are exact spans of their text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.llm.offline.sentences import MAX_SENTENCE, split_sentences

TEXT = """# Title

Dr. Smith paid 3.5 dollars, e.g. for tea, at No. 5. "Why?" she asked. It was the U.S. Navy.
A wrapped line that goes on to the next line and is quite long, really
continues here. End!

- item one
- item two is a sentence. And another.

Safety
If a cell swells, stop.

| a | b |
|---|---|
| 1 | 2 |

これは文です。次の文です。
"""


def test_finds_sentences_in_markdown() -> None:
    found = [(TEXT[s.start : s.end].replace("\n", "⏎"), s.heading) for s in split_sentences(TEXT)]
    assert found == [
        ("Dr. Smith paid 3.5 dollars, e.g. for tea, at No. 5.", "Title"),
        ('"Why?" she asked.', "Title"),
        ("It was the U.S. Navy.", "Title"),
        ("A wrapped line that goes on to the next line and is quite long, really⏎continues here.", "Title"),
        ("End!", "Title"),
        ("item one", "Title"),
        ("item two is a sentence.", "Title"),
        ("And another.", "Title"),
        ("If a cell swells, stop.", "Safety"),
        ("| a | b |", "Safety"),
        ("| 1 | 2 |", "Safety"),
        ("これは文です。", "Safety"),
        ("次の文です。", "Safety"),
    ]


@given(st.text(alphabet=st.sampled_from('aB1.!? \n#-|`"“。:x\t\r\u2028é'), max_size=300))
def test_spans_are_in_order_and_apart(text: str) -> None:
    last = 0
    for sentence in split_sentences(text):
        assert last <= sentence.start < sentence.end <= len(text)
        assert text[sentence.start : sentence.end] == text[sentence.start : sentence.end].strip()
        last = sentence.end


def test_what_has_no_end_is_cut() -> None:
    text = "word " * 1000
    assert all(s.end - s.start <= MAX_SENTENCE for s in split_sentences(text))
