"""What a goal asks for: questions, addresses, sums, a pause. By rules; what no rule knows is a topic to look up."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from agents.llm.offline.arithmetic import find_expressions
from agents.llm.offline.text import Word, is_stopword, language_of, stem, words
from agents.llm.offline.words import GENERIC, MONTHS, NUMBER_WORDS, PRONOUNS

Kind = Literal["fact", "explain", "summary"]
Wanted = Literal["", "number", "money", "person", "time", "day", "month", "year"]

NAME_WEIGHT = 0.75
"""A name or a number must be there at all; whether the question is answered is decided by the other words."""

MAX_QUESTIONS = 6
MAX_URLS = 8

_URL = re.compile(r"https?://[^\s<>\"'`“”‘’|\\^{}]+", re.IGNORECASE)
_WAIT = re.compile(
    r"(?:(?:please|first|then|and|,)\s+)*\b(?:wait|sleep|pause)\b(?:\s+(?:for|about|at\s+least))*\s+"
    r"(?P<count>an?|\d+(?:\.\d+)?|\w+)[\s-]*(?P<unit>seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)\b"
    r"(?:\s*(?:,|and|then|before|;)\s*)*",
    re.IGNORECASE,
)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SMALL = {"zero": 0, "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}
_SMALL |= {"eight": 8, "nine": 9, "ten": 10, "twenty": 20, "thirty": 30, "sixty": 60}

_QUESTION_WORD = r"(?:what|which|who|whom|whose|when|where|why|how)"
_AUXILIARY = r"(?:is|are|was|were|do|does|did|can|could|should|must|has|have|had|will|would|may)"
_COMMAND = (
    r"(?:calculate|compute|evaluate|visit|scrape|crawl|download|summari[sz]e|explain|describe|compare|list|find|tell|give|show|write|report|outline|name|look|research|"
    r"search|define|discuss|extract|identify|collect|gather|investigate|read|fetch|get|analy[sz]e|review)"
)
_SPLIT = re.compile(
    rf"(?<=[?!])\s+|(?<=[.;])\s+(?=\S)|\s*\n+\s*|"
    rf"[,;]?\s+(?:and|or|then|also)\s+(?:also\s+)?(?={_QUESTION_WORD}\s+\w+\s)|,\s+(?={_QUESTION_WORD}\s+\w+\s+\w)|"
    rf"[,;]?\s+(?:and|then)\s+(?:then\s+)?(?={_COMMAND}\s)",
    re.IGNORECASE,
)
_IS_QUESTION = re.compile(rf"\?|^\W*(?:{_QUESTION_WORD}|{_AUXILIARY})\b", re.IGNORECASE)
_EMBEDDED = re.compile(rf"^\W*(?:please\s+)?{_COMMAND}\b.*?\b(?={_QUESTION_WORD}\b)", re.IGNORECASE)
_POLITE = r"(?:please|first|then|now|next|finally|also|could you|can you|would you|i want you to|i want to|help me)"
_IS_COMMAND = re.compile(
    rf"^\W*(?:{_POLITE}\W+)*{_COMMAND}\b(?:\s+(?:me|us|out|up|for|about|everything|anything|all)\b)*", re.IGNORECASE
)
_SUMMARY = re.compile(r"\b(?:summar\w+|overview|outline|key points|main points|gist|abstract of)\b", re.IGNORECASE)
_EXPLAIN = re.compile(
    r"\b(?:why|how (?:do|does|did|is|are|can|could|should|to|would|was|were)|explain|describe|compare|discuss|list|"
    r"advantages?|disadvantages?|benefits?|differences?|steps|reasons|everything|report|"
    r"what are (?:the|its|their|some|all))\b",
    re.IGNORECASE,
)
_COMPARE = re.compile(
    r"\b(?:differences?\s+between|compare)\s+(?P<a>.+?)\s+(?:and|with|to|versus|vs\.?)\s+(?P<b>.+?)\s*[?.!]*$", re.I
)
_PLACE = r"(?:on|onto|in|into|inside|at|by|for|during)\s+(?:(?:the|an?|my|our)\s+)?\w+"
_BOTH = re.compile(rf"\b(?P<a>{_PLACE})\s+and\s+(?P<b>{_PLACE})(?=\W*$)", re.I)
_NUMBER = re.compile(
    r"\bhow\s+(?:many|much|long|far|tall|high|deep|wide|old|big|large|heavy|fast|often|hot|cold|large|thick)\b|"
    r"\bwhat\s+(?:percentage|percent|number|temperature|speed|weight|height|length|size|depth|price|distance)\b",
    re.I,
)
_TIME = re.compile(r"^\W*(?:and\s+|since\s+)?when\b|\b(?:what|which)\s+(?:date|time)\b", re.IGNORECASE)
_MONEY = re.compile(
    r"\b(?:how\s+much|what)\s+(?:\w+\s+)*?(?:cost|costs|pay|pays|paid|charge|charged)\b|"
    r"\b(?:what|how\s+high)\s+(?:is|are|was|were)\s+the\s+(?:\w+\s+)?(?:price|fee|fare|rent|deposit|salary)\b",
    re.I,
)
_COUNTED = re.compile(r"\bhow\s+many\s+(?:\w+\s+(?=\w+s\b))??(\w+)", re.IGNORECASE)
_CALENDAR = re.compile(r"\b(?:what|which)\s+(?:calendar\s+)?(day|month|year)s?\b", re.IGNORECASE)
_CALENDAR_ASKED = re.compile(r"\b(?:what|which)\s+(?:calendar\s+)?(day|month|year|date|time)s?\b", re.IGNORECASE)
_MEASURE = re.compile(
    r"\bhow\s+(?:many\s+|much\s+)?(?!(?:many|much|do|does|did|is|are|was|were|can|could|should|to|far|often)\b)(\w+)",
    re.I,
)
MEASURE_WEIGHT = 1.8
"""What is measured decides: of all that is said of a tower, only its height answers how tall it is."""
_HEAD = re.compile(
    r"\b(?:what|which|who|when|where)\s+(?:is|are|was|were)\s+(?:the|an?)\s+(.+?)\s+(?:of|in|for|on|at)\s", re.I
)
_LAST_VERB = re.compile(r"\bhow\s+(?:much|long|far|often|many)\s+(?:do|does|did|can|will)\s.*?(\w+)\W*$", re.IGNORECASE)
_DOER = re.compile(
    r"\bwhat\s+(?:will|would|can|could|must|may|might|should)\s+"
    r"(?!(?:the|an?|i|we|you|he|she|it|they|my|our|your|happen|be)\b)(\w+)",
    re.I,
)
"""What replaces the boiler is told where something replaces it, not where the boiler is described."""

_PHRASES = (
    (re.compile(r"\b(?:come|comes|came|get|gets|go|goes|be|is)\s+back\b", re.I), "return"),
    (re.compile(r"\b(?:go|goes|went|going|get)\s+a?round\b", re.I), "orbit"),
    (re.compile(r"\b(?:get|gets|getting|got)\s+rid\s+of\b", re.I), "remove"),
    (re.compile(r"\b(?:go|goes|going|went|get|gets)\s+in(?:to|side)?\s+(?=the|an?)\b", re.I), "enter "),
    (re.compile(r"\b(?:turn|switch|shut)(?:ed|ing|es)?\s+(?:(\w+\s+)?(\w+\s+)?)off\b", re.I), r"disable \1\2"),
    (re.compile(r"\b(?:turn|switch)(?:ed|ing|es)?\s+(?:(\w+\s+)?(\w+\s+)?)on\b(?!\s+\w+day)", re.I), r"enable \1\2"),
)
"""Verbs of two words, of which each alone means something else."""

_OWN_THING = re.compile(r"\b(?:my|our)\s+(\w+)", re.IGNORECASE)
_KIND_OF = re.compile(rf"\bwhich\s+(\w+)\s+(?={_AUXILIARY}\b)", re.IGNORECASE)
KIND_WEIGHT = 0.6
"""What "which" asks for is named in the answer: "which fuel" is answered by oil, without the word fuel."""

_PARTICLE = re.compile("[のはがをにでともへかや]")
"""Particles of Japanese, which make a pair of characters mean nothing."""

_PERSON = re.compile(r"\b(?:who|whom|whose)\b", re.IGNORECASE)
_DOCUMENTS = re.compile(r"\b(?:documents?|workspace|knowledge base|library|our notes|uploaded)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Term:
    """A word that a question turns on. A name or a number must be found, a general word need not."""

    stem: str
    surface: str
    weight: float
    required: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """One thing a goal asks, with the terms that an answer has to be about."""

    text: str
    terms: tuple[Term, ...]
    kind: Kind = "fact"
    wanted: Wanted = ""
    counted: str = ""

    @property
    def query(self) -> str:
        """Give what to type into a search box."""
        return " ".join(dict.fromkeys(term.surface for term in self.terms))


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal, taken apart. `wait_first` says whether the pause is named before the rest."""

    text: str
    urls: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    wait_seconds: float | None = None
    wait_first: bool = True
    questions: tuple[Question, ...] = ()
    names_documents: bool = False


def read_goal(text: str) -> Goal:
    """Take a goal apart."""
    urls = tuple(dict.fromkeys(_address(match.group()) for match in _URL.finditer(text)))[:MAX_URLS]
    rest = _URL.sub(" ", text)
    seconds, first, rest = _wait(rest)
    expressions, rest = find_expressions(rest)
    return Goal(
        text=text,
        urls=urls,
        expressions=tuple(expressions),
        wait_seconds=seconds,
        wait_first=first,
        questions=_questions(rest, has_other_work=bool(urls or expressions or seconds is not None)),
        names_documents=bool(_DOCUMENTS.search(rest)),
    )


def _address(url: str) -> str:
    url = url.rstrip(".,;:!?*_")
    while url.endswith((")", "]")) and url.count(url[-1]) > url.count({")": "(", "]": "["}[url[-1]]):
        url = url[:-1].rstrip(".,;:!?")
    return url


def _wait(text: str) -> tuple[float | None, bool, str]:
    match = _WAIT.search(text)
    if match is None:
        return None, True, text
    count = match["count"].lower()
    number = float(_SMALL[count]) if count in _SMALL else _number(count)
    if number is None:
        return None, True, text
    rest = f"{text[: match.start()]} {text[match.end() :]}"
    return number * _UNIT_SECONDS[match["unit"][0].lower()], len(text[: match.start()].split()) < 4, rest


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _questions(text: str, *, has_other_work: bool) -> tuple[Question, ...]:
    language = language_of(text)
    pieces = [piece.strip(" ,;:-") for piece in _SPLIT.split(text) if piece and piece.strip(" ,;:-.!?")]
    asks = [bool(_IS_QUESTION.search(piece) or _IS_COMMAND.match(piece)) for piece in pieces]
    if not any(asks):
        # Nothing is asked in so many words: the whole goal is the topic.
        pieces, asks = ([text.strip()], [True]) if pieces else ([], [])
    found: list[Question] = []
    previous: Question | None = None
    for piece, is_asked in zip(pieces, asks, strict=True):
        sides = _compared(piece)
        before = previous
        for part in sides or [piece]:
            question = _question(part, language, before, carries=not has_other_work)
            if sides and _COMPARE.search(piece):
                question = replace(question, kind="explain")
            if question.terms:
                previous = question
            # Sentences beside a question are its setting, and so is what only says how to answer.
            if is_asked and (_is_about_something(question, has_other_work or bool(found))):
                found.append(question)
    return tuple(found[:MAX_QUESTIONS])


def _is_about_something(question: Question, has_other_work: bool) -> bool:
    if not has_other_work:
        return bool(question.terms)
    return question.kind == "summary" or any(term.weight >= NAME_WEIGHT for term in question.terms)


def _compared(piece: str) -> list[str]:
    """Give the two things that are compared; none if nothing is."""
    match = _COMPARE.search(piece)
    sides = [match["a"], match["b"]] if match else []
    if match is None and (both := _BOTH.search(piece)):
        # "On the ferry and into the museum" asks of each by itself.
        start = piece[: both.start()]
        return [f"{start}{both['a']}", f"{start}{both['b']}"]
    return [] if any(side.lower() in PRONOUNS or _DOCUMENTS.search(side) for side in sides) else sides


def _question(piece: str, language: str, previous: Question | None, *, carries: bool) -> Question:
    """Read one question. `carries`: one that names nothing of its own goes on about what was asked before."""
    core = _EMBEDDED.sub("", piece)
    for phrase, verb in _PHRASES:
        core = phrase.sub(verb, core)
    terms = _terms(_IS_COMMAND.sub("", core), language)
    lowered = {word.surface.lower() for word in words(core)}
    if previous is not None and (lowered & PRONOUNS or (carries and not terms)):
        have = {term.stem for term in terms}
        terms += [term for term in _topic(previous) if term.stem not in have]
    kind: Kind = "summary" if _SUMMARY.search(piece) else "explain" if _EXPLAIN.search(piece) else "fact"
    if kind == "explain" and _NUMBER.search(core):
        kind = "fact"
    return Question(text=piece, terms=tuple(terms), kind=kind, wanted=_wanted(core), counted=_counted(core))


_CALENDAR_WORDS: dict[str, Wanted] = {"day": "day", "month": "month", "year": "year"}


def _wanted(text: str) -> Wanted:
    if calendar := _CALENDAR.search(text):
        return _CALENDAR_WORDS[calendar[1].lower()]
    if _MONEY.search(text):
        return "money"
    if _TIME.search(text):
        return "time"
    if _NUMBER.search(text):
        return "number"
    return "person" if _PERSON.search(text) else ""


def _counted(text: str) -> str:
    """Give the stem of what "how many" asks for."""
    match = _COUNTED.search(text)
    return stem(match[1]) if match else ""


def _topic(question: Question) -> list[Term]:
    """Give what a pronoun in the next question may stand for: the names, else the thing named first."""
    names = [term for term in question.terms if term.required]
    telling = [term for term in question.terms if term.weight >= NAME_WEIGHT]
    things = {match.lower() for match in _OWN_THING.findall(question.text)}
    return names or [term for term in telling if term.surface.lower() in things] or telling[:2]


def _terms(text: str, language: str) -> list[Term]:
    found: dict[str, Term] = {}
    at = -1
    for word in words(text):
        surface = word.surface
        is_part = word.start == at and surface.isascii()
        at = word.start
        if is_part or _is_little(surface, language):
            continue
        if (len(word.stem) > 1 or word.stem.isdigit()) and word.stem not in found:
            found[word.stem] = _term(word, text, language)
    if any(term.weight >= NAME_WEIGHT for term in found.values()):
        return list(found.values())
    # Nothing but general words: then they are what is meant, unless they only say how to answer.
    return [replace(term, weight=0.9) for term in found.values() if not _SUMMARY.search(term.surface)]


def _is_little(surface: str, language: str) -> bool:
    if len(surface) > 1 and surface.isupper():
        return False
    if _PARTICLE.search(surface):
        return True
    return surface.lower() in PRONOUNS or is_stopword(surface, language) or is_stopword(surface, "en")


def _term(word: Word, text: str, language: str) -> Term:
    lowered = word.surface.lower()
    if any(char.isdigit() for char in lowered):
        return Term(word.stem, word.surface, NAME_WEIGHT, required=True)
    if _is_name(word, text, language):
        return Term(word.stem, word.surface, NAME_WEIGHT, required=True)
    if (calendar := _CALENDAR_ASKED.search(text)) and calendar[1].lower() == lowered:
        return Term(word.stem, word.surface, 0.3)
    if (measure := _MEASURE.search(text)) and measure[1].lower() == lowered:
        return Term(word.stem, word.surface, MEASURE_WEIGHT)
    if lowered in GENERIC or stem(lowered) in _GENERIC_STEMS or lowered in NUMBER_WORDS:
        return Term(word.stem, word.surface, 0.3)
    kind = _KIND_OF.search(text)
    if kind and kind.start(1) == word.start:
        return Term(word.stem, word.surface, KIND_WEIGHT)
    head, verb = _HEAD.search(text), _LAST_VERB.search(text) or _DOER.search(text)
    if (head and head.start(1) <= word.start < head.end(1)) or (verb and verb.start(1) == word.start):
        return Term(word.stem, word.surface, MEASURE_WEIGHT)
    return Term(word.stem, word.surface, 1.0)


def _is_name(word: Word, text: str, language: str) -> bool:
    """Is it written like a name? (In German every noun is.)"""
    if not word.surface[0].isupper() or word.surface.lower() in MONTHS or language == "de":
        return False
    if len(word.surface) > 1 and word.surface.isupper():
        return not text.isupper()
    return re.search(r"(?:^|[.!?:]\s)[\s\"'“‘(¿¡*#-]*$", text[: word.start]) is None


_GENERIC_STEMS = frozenset(stem(word) for word in GENERIC)
