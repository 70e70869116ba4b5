"""Whether a sentence holds the kind of thing that a question wants: a number, money, a time, somebody."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from agents.llm.offline.alike import ALIKE_STEMS
from agents.llm.offline.goal import Question
from agents.llm.offline.text import stem
from agents.llm.offline.words import MONTHS, NUMBER_WORDS, ROLES, TIMES, WEEKDAYS

NUMBER_STEMS = frozenset(stem(word) for word in NUMBER_WORDS)

_MONTH = re.compile(rf"\b(?:{'|'.join(sorted(month.capitalize() for month in MONTHS))})\b")
_YEAR = re.compile(r"\b\d{3,4}\b")
_MONEY = re.compile(
    r"[€$£¥₹₣₽]|\b(?:euros?|dollars?|pounds?|pence|(?<!per )cents?|francs?|crowns?|kron[ae]r?|yen|rupees?|roubles?|"
    r"shillings?|EUR|USD|GBP|CHF|JPY|SEK|NOK|DKK|CAD|AUD|INR|free)\b"
)
_DAY_STEMS = frozenset(stem(word) for word in WEEKDAYS)
_TIME_STEMS = frozenset(stem(word) for word in TIMES)
_ROLE_STEMS = frozenset(stem(word) for word in ROLES)


def has_number(text: str, stems: Container[str]) -> bool:
    """Is there a number, in figures or in words?"""
    return any(char.isdigit() for char in text) or any(word in stems for word in NUMBER_STEMS)


def has_wanted(text: str, stems: Sequence[str], question: Question) -> bool:
    """Does the sentence hold what the question wants? One that wants nothing certain is content with any."""
    bag = frozenset(stems)
    match question.wanted:
        case "number":
            return has_number(text, bag) and (not question.counted or _counts(stems, question.counted))
        case "money":
            return _MONEY.search(text) is not None
        case "time":
            return has_number(text, bag) or _names_month(text) or not _TIME_STEMS.isdisjoint(bag)
        case "day":
            return not _DAY_STEMS.isdisjoint(bag) or (has_number(text, bag) and _names_month(text))
        case "month":
            return _names_month(text)
        case "year":
            return _YEAR.search(text) is not None
        case "person":
            # Rules and minutes name people by what they are: the treasurer, the keepers.
            return any(word[:1].isupper() for word in text.split()[1:]) or not _ROLE_STEMS.isdisjoint(bag)
        case _:
            return True


def _counts(stems: Sequence[str], counted: str) -> bool:
    """Does a number stand shortly before what is counted?"""
    things = ALIKE_STEMS.get(counted, frozenset()) | {counted}
    at = [i for i, word in enumerate(stems) if word in things]
    return any(word[0].isdigit() or word in NUMBER_STEMS for i in at for word in stems[max(0, i - 4) : i])


def _names_month(text: str) -> bool:
    # By its capital: "may" and "march" are mostly no months.
    return _MONTH.search(text) is not None
