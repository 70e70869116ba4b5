"""Words and sentences: where they stand in a text, and the stem by which they are compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from agents.llm.offline.words import IRREGULAR, STOPWORDS

_WORD = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w)|[^\W_]+(?:[.'’-][^\W_]+)*", re.UNICODE)
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+")
"""Scripts written without spaces (and Korean, whose endings stick): compared by pairs of characters."""

_VOWEL = re.compile("[aeiouyäöüáéíóúàèìòùâêîôû]")
_ENDS_IN_ES = ("xes", "ches", "shes", "sses", "zes")
_MAX_TOKEN = 40


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text: its stem, as it is written, and where it starts."""

    stem: str
    surface: str
    start: int


def words(text: str) -> list[Word]:
    """Give the words of a text. Hyphenated ones stand as a whole and as their parts."""
    found: list[Word] = []
    for match in _WORD.finditer(text):
        surface, start = match.group(), match.start()
        if _UNSPACED.search(surface):
            found += [Word(pair, pair, start) for pair in _pairs(surface)]
            continue
        found.append(Word(stem(surface), surface, start))
        if "-" in surface:
            found += [Word(stem(part), part, start) for part in surface.split("-") if len(part) > 2]
    return found


def stems(text: str) -> list[str]:
    """Give the stems of a text's words in order."""
    return [word.stem for word in words(text)]


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Give the form under which a word is compared with others: light, made for English, harmless elsewhere."""
    folded = unicodedata.normalize("NFKC", word).casefold().replace("’", "'")[:_MAX_TOKEN]
    folded = folded.removesuffix("'s").replace("-", "").replace("'", "").replace(",", "")
    if any(char.isdigit() for char in folded) or not folded.isascii():
        return folded
    folded = IRREGULAR.get(folded, folded)
    return _without_derivation(_without_inflection(folded))


def language_of(text: str) -> str:
    """Guess the language by its little words; English if nothing speaks against it."""
    seen = set(_plain_words(text))
    counts = {language: len(seen & stopwords) for language, stopwords in STOPWORDS.items()}
    return max(counts, key=lambda language: (counts[language], language == "en"))


def is_stopword(word: str, language: str) -> bool:
    """Is this one of the language's little words?"""
    return word.casefold().replace("’", "'") in STOPWORDS[language]


def _plain_words(text: str) -> Iterator[str]:
    return (match.group().casefold().replace("’", "'") for match in _WORD.finditer(text))


def _pairs(text: str) -> list[str]:
    return [text[i : i + 2] for i in range(len(text) - 1)] or [text]


def _without_inflection(word: str) -> str:
    if len(word) <= 3:
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(_ENDS_IN_ES):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        base = word.removesuffix(ending)
        if base != word and len(base) >= 3 and _VOWEL.search(base):
            return _undoubled(base)
    return word


def _without_derivation(word: str) -> str:
    if len(word) > 5 and word.endswith("ly"):
        word = word[:-2]
    if len(word) > 6 and word.endswith("ion") and word[-4] in "ts":
        word = word[:-3]
    elif len(word) > 6 and word.endswith(("er", "or")):
        word = _undoubled(word[:-2])
    elif len(word) > 6 and word.endswith(("ment", "ship", "ness")):
        word = word[:-4]
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    if len(word) > 3 and word.endswith("y"):
        word = word[:-1] + "i"
    return word


def _undoubled(word: str) -> str:
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz" else word
