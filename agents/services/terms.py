"""Words as the full text index knows them.

Both databases index the same terms, made here, so that they find the same. Their own language configurations differ in
what they fold and stem, and neither knows texts without spaces between words.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

MAX_QUERY = 2_000
_MAX_TERMS = 32
_MAX_TERM_LENGTH = 64

# Scripts written without spaces: every character is a term of its own.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
# (Of those blocks only the letters: they hold marks and places without a character too.)
_WORD = re.compile(rf"(?=\w)[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_PHRASE = re.compile(r"[\"“„]([^\"“”„]{1,300})[\"”“]")
_EXCLUDED = re.compile(r"(?:^|\s)-([^\W\d_]{3,})")
_VOWEL = re.compile(r"[aeiouy]")
_LITTLE_WORDS = """
a about after all also am an and any are as at be because been before being between both but by can could d did do does
doing done each find for from get give had has have having he her here him his how i if in into is it its just ll m may
me might more most must my no nor not of off on once only or other our out over own please re s same she should so some
such t tell than that the their them then there these they this those through to too under until up us ve very was we
were what when where which while who whom why will with would you your
"""
_STOP_WORDS = frozenset(_LITTLE_WORDS.split())


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody looks for: any of `terms`, none of `excluded`; passages with a whole phrase come first."""

    terms: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[str, ...] = ()


def terms_of(text: str) -> list[str]:
    """Give the text's words in order, without case, accents and English endings."""
    return [_stem(word[:_MAX_TERM_LENGTH]) for word in _words(text)]


def parse_query(text: str) -> Query:
    """Read what a person or a model wrote as a query: plain words, "phrases", -exclusions. Any text is a query."""
    text = text[:MAX_QUERY]
    excluded = {term for word in _EXCLUDED.findall(text) for term in terms_of(word)}
    text = _EXCLUDED.sub(" ", text)
    words = _words(text)
    # A query of nothing but little words means them.
    telling = [word for word in words if word not in _STOP_WORDS] or words
    terms = [term for term in map(_stem, (word[:_MAX_TERM_LENGTH] for word in telling)) if term not in excluded]
    phrases = (tuple(terms_of(phrase)) for phrase in _PHRASE.findall(text))
    return Query(
        terms=tuple(dict.fromkeys(terms))[:_MAX_TERMS],
        phrases=tuple(phrase for phrase in phrases if len(phrase) > 1)[:_MAX_TERMS],
        excluded=tuple(sorted(excluded))[:_MAX_TERMS],
    )


def _words(text: str) -> list[str]:
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text)
        # Recomposed: Korean syllables come apart as accented letters do, and belong together.
        text = unicodedata.normalize("NFC", "".join(c for c in parts if unicodedata.category(c) != "Mn"))
    return _WORD.findall(text.casefold())


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    """Take English endings off, the same way from texts and queries; what remains need not be a word."""
    if len(word) < 4 or not (word.isascii() and word.isalpha()):
        return word
    word = _singular(word)
    for ending, least in (("ing", 6), ("ed", 5)):
        rest = word.removesuffix(ending)
        if rest != word and len(word) >= least and not word.endswith("eed") and _VOWEL.search(rest):
            word = _without_doubling(rest)
            break
    if len(word) > 4 and word.endswith("e"):
        return word[:-1]
    return f"{word[:-1]}i" if len(word) > 3 and word.endswith("y") else word


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _without_doubling(word: str) -> str:
    doubled = len(word) > 2 and word[-1] == word[-2] and word[-1] not in "aeioulsz"
    return word[:-1] if doubled else word
