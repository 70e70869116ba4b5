"""Which sentences answer a question: how much of it they cover, how alike they are (TF-IDF), how central (TextRank).

Whether anything answers at all is decided by coverage alone: similarity always finds a best sentence, also among
those that have nothing to do with the question.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.llm.offline.alike import ALIKE_STEMS
from agents.llm.offline.goal import Question, Term
from agents.llm.offline.sentences import Sentence, split_sentences
from agents.llm.offline.sources import Passage
from agents.llm.offline.text import stem, stems
from agents.llm.offline.wanted import has_wanted
from agents.llm.offline.words import PRONOUNS

ENOUGH = 0.55
"""The share of a question's terms, by weight, that a sentence and its surroundings must hold."""

ENOUGH_TO_EXPLAIN = 0.5
"""The same where reasons or a course of events are asked, which are told in other words."""

ENOUGH_WITHOUT_VALUE = 0.8
"""The same for a sentence that lacks what the question wants: a number, a time, a name."""

FOCUS, FOCUS_WITH_VALUE = 0.55, 0.5
"""The share of its focus that must be in the sentence or next to it: of what remains of the question when names, and
the words that the source's own headings have, are taken out. Every sentence on Port Elland is about Port Elland; only
one on its mayor tells who that is. A little less will do where the value that is wanted stands there too."""

TOPIC_RANKS = 0.35
"""What a word of the headings counts in ranking the sentences below them."""

NAME_RANKS = 0.6
"""What a name counts in ranking: it had to be there anyway."""

NEAR_RANKS = 0.5
"""What a word next to the sentence counts in ranking, of what it counts in covering."""

OWN_SHARE = 0.2
"""The share that the sentence itself must hold, unless its headings hold HEADED of it: below
"Safety" all is on safety."""

HEADED = 0.5

IN_HEADING, IN_NEIGHBOUR, IN_BLOCK, IN_SOURCE = 0.75, 0.6, 0.5, 0.4
"""What a term counts that is not in the sentence but above it, next to it, in its block, elsewhere in its source."""

IN_ANTECEDENT = 0.85
"""What a term counts that stands in the sentence before one that speaks of "it" or "them"."""

ALIKE_COUNTS, PREFIX_COUNTS = 0.8, 0.75
MAX_RANKED = 150
"""TextRank compares all with all; more sentences than this are first thinned out by similarity."""


@dataclass(slots=True)
class Unit:
    """A sentence with what is compared: its stems, and those of its headings."""

    passage: Passage
    sentence: Sentence
    position: int
    text: str
    stems: list[str]
    bag: Counter[str]
    heading: frozenset[str]
    central: float = 0.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A sentence, how much of the question it covers with its surroundings, and its rank."""

    unit: Unit
    coverage: float
    score: float


@dataclass(slots=True)
class Corpus:
    """All sentences of all passages, ready to be searched."""

    units: list[Unit] = field(default_factory=list)
    idf: dict[str, float] = field(default_factory=dict)
    by_source: dict[str, frozenset[str]] = field(default_factory=dict)
    _by_block: dict[tuple[int, int], frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, passages: Sequence[Passage]) -> Corpus:
        """Read the passages."""
        corpus = cls()
        seen: set[tuple[str, str]] = set()
        for passage in passages:
            title = frozenset(stems(passage.title))
            for sentence in split_sentences(passage.text):
                text = passage.text[sentence.start : sentence.end]
                if (passage.source, text) not in seen:
                    seen.add((passage.source, text))
                    corpus.units.append(_unit(passage, sentence, len(corpus.units), text, title))
        corpus._weigh()
        return corpus

    def neighbour(self, unit: Unit, step: int) -> Unit | None:
        """Give the sentence before (-1) or after (1) in the same passage."""
        at = unit.position + step
        if not 0 <= at < len(self.units):
            return None
        other = self.units[at]
        return other if other.passage is unit.passage else None

    def block_of(self, unit: Unit) -> frozenset[str]:
        """Give the words of the paragraph or list item around a sentence."""
        return self._by_block[id(unit.passage), unit.sentence.block]

    def _weigh(self) -> None:
        counts: Counter[str] = Counter()
        everything: defaultdict[str, set[str]] = defaultdict(set)
        blocks: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
        for unit in self.units:
            blocks[id(unit.passage), unit.sentence.block].update(unit.bag)
            counts.update(unit.bag.keys())
            everything[unit.passage.source].update(unit.bag, unit.heading)
        self.idf = {word: math.log(1 + len(self.units) / count) for word, count in counts.items()}
        self._by_block = {block: frozenset(found) for block, found in blocks.items()}
        self.by_source = {source: frozenset(found) for source, found in everything.items()}


def find_answers(corpus: Corpus, question: Question) -> list[Hit]:
    """Give the sentences that answer, best first; none if nothing does."""
    asked = [_asked(term, corpus) for term in question.terms]
    hits: list[Hit] = []
    for unit in corpus.units:
        found = [_Found.of(item, unit, corpus) for item in asked]
        if _counts_something_else(question, found):
            continue
        has_value = _asks_for_reasons(question) or bool(question.wanted and has_wanted(unit.text, unit.stems, question))
        coverage = _coverage(asked, found, FOCUS_WITH_VALUE if has_value else FOCUS)
        if coverage >= _threshold(unit, question):
            hits.append(Hit(unit, coverage, _score(unit, question, asked, found, coverage)))
    return sorted(hits, key=lambda hit: (-hit.score, hit.unit.position))


def _counts_something_else(question: Question, found: Sequence[_Found]) -> bool:
    """Whether a sentence has what is counted, and nothing of where: eight seconds say nothing of a week's."""
    if not question.counted:
        return False
    places = [
        place
        for term, place in zip(question.terms, found, strict=True)
        if term.stem != question.counted and term.weight >= 1
    ]
    return bool(places) and not any(place.anywhere for place in places)


def find_source(corpus: Corpus, terms: Sequence[Term]) -> str | None:
    """Give the source that is most about these terms, by its headings first; None if there is none."""
    asked = [_asked(term, corpus) for term in terms]
    total = sum(term.weight for term in terms)
    headings: defaultdict[str, set[str]] = defaultdict(set)
    for unit in corpus.units:
        headings[unit.passage.source] |= unit.heading
    best, best_share = None, ENOUGH - 0.01
    for source, words in corpus.by_source.items():
        share = 0.0
        for item in asked:
            place = max(_best(item.matches, frozenset(headings[source])), IN_NEIGHBOUR * _best(item.matches, words))
            share += item.term.weight * place / total
            if item.term.required and not place:
                share = 0.0
                break
        if share > best_share:
            best, best_share = source, share
    return best


def rank_central(corpus: Corpus, units: Sequence[Unit]) -> None:
    """Give each of these sentences its TextRank: central is what is like much that is central."""
    chosen = sorted(units, key=lambda u: -sum(corpus.idf[word] for word in u.bag))[:MAX_RANKED]
    chosen.sort(key=lambda unit: unit.position)
    links = [[_alike(a, b) if a is not b else 0.0 for b in chosen] for a in chosen]
    out = [sum(row) or 1.0 for row in links]
    ranks = [1.0] * len(chosen)
    for _ in range(20):
        ranks = [
            0.15 + 0.85 * sum(links[j][i] / out[j] * ranks[j] for j in range(len(chosen)) if links[j][i])
            for i in range(len(chosen))
        ]
    top = max(ranks, default=1.0)
    for unit, rank in zip(chosen, ranks, strict=True):
        unit.central = rank / top


def similarity(a: Unit, b: Unit) -> float:
    """Give the share of words that two sentences have in common."""
    both = len(a.bag.keys() & b.bag.keys())
    return both / (len(a.bag.keys() | b.bag.keys()) or 1)


def opens_with_pronoun(unit: Unit) -> bool:
    """Does the sentence lean on the one before it?"""
    return bool(unit.stems) and unit.stems[0] in _PRONOUN_STEMS


def _unit(passage: Passage, sentence: Sentence, position: int, text: str, title: frozenset[str]) -> Unit:
    found = stems(text)
    if _LIFE.search(text):
        # "(1887 – 1961)" says when somebody was born and died without saying so.
        found += [stem("born"), stem("birth"), stem("died")]
    return Unit(
        passage=passage,
        sentence=sentence,
        position=position,
        text=text,
        stems=found,
        bag=Counter(found),
        heading=title | frozenset(stems(sentence.heading)),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A term, the words that may stand for it with how well each does, and how rare it is among the sentences."""

    term: Term
    matches: dict[str, float]
    rarity: float


@dataclass(frozen=True, slots=True)
class _Found:
    """How well a term is found: in the sentence, in the headings, beside it, elsewhere in its source."""

    inside: float
    heading: float
    near: float
    far: float

    @classmethod
    def of(cls, asked: _Asked, unit: Unit, corpus: Corpus) -> _Found:
        near = IN_BLOCK * _best(asked.matches, corpus.block_of(unit))
        for step in (-1, 1):
            other = corpus.neighbour(unit, step)
            if other is not None:
                same_block = other.sentence.block == unit.sentence.block
                place = IN_NEIGHBOUR if same_block else IN_BLOCK
                if same_block and step < 0 and not _REFERRING.isdisjoint(unit.bag):
                    place = IN_ANTECEDENT
                near = max(near, place * _best(asked.matches, other.bag))
        source = corpus.by_source[unit.passage.source]
        far = IN_SOURCE * _best(asked.matches, source)
        heading = IN_HEADING * _best(asked.matches, unit.heading)
        return cls(_best(asked.matches, unit.bag), heading, near, far)

    @property
    def anywhere(self) -> float:
        return max(self.inside, self.heading, self.near, self.far)


def _asked(term: Term, corpus: Corpus) -> _Asked:
    matches = _matches(term, corpus)
    count = sum(_best(matches, unit.bag) >= PREFIX_COUNTS for unit in corpus.units)
    return _Asked(term, matches, math.log(1 + len(corpus.units) / count) if count else 0.0)


def _matches(term: Term, corpus: Corpus) -> dict[str, float]:
    """Give the words of the corpus that may stand for the term, and how well each does."""
    parts = term.surface.casefold().split("-")
    found = {term.stem: 1.0}
    if term.required:
        return found
    for other in ALIKE_STEMS.get(term.stem, ()):
        found.setdefault(other, ALIKE_COUNTS)
    for words in corpus.by_source.values():
        for word in words:
            if word not in found and _shares_prefix(term.stem, word):
                found[word] = PREFIX_COUNTS
    if not corpus.idf.keys() & found.keys():
        found.update(dict.fromkeys(_compound_head(term.stem, corpus), PREFIX_COUNTS))
    if len(parts) > 1:
        # Written apart elsewhere: the parts together stand for the whole.
        found.update({stem(part): 0.5 for part in parts if len(part) > 2 and stem(part) not in found})
    return found


def _compound_head(word: str, corpus: Corpus) -> tuple[str, ...]:
    """Give the first part of a word put together of two that one source has apart: bee of beekeeper."""
    for cut in range(3, len(word) - 2):
        first, last = word[:cut], word[cut:]
        if any(first in words and last in words for words in corpus.by_source.values()):
            return (first,)
    return ()


def _shares_prefix(a: str, b: str) -> bool:
    if a[:5] != b[:5] or len(a) < 5 or not a.isalpha() or not b.isalpha():
        return False
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return same >= 0.7 * max(len(a), len(b))


def _coverage(asked: Sequence[_Asked], found: Sequence[_Found], enough_focus: float) -> float:
    """Give the share of the question that a sentence holds with what is around it; 0 if something vital lacks."""
    total = sum(item.term.weight for item in asked)
    if not total or any(item.term.required and not place.anywhere for item, place in zip(asked, found, strict=True)):
        return 0.0
    covered = own = headed = plain = focus = focus_found = 0.0
    for item, place in zip(asked, found, strict=True):
        weight = item.term.weight
        covered += weight * place.anywhere
        own += weight * place.inside
        if not item.term.required:
            headed += weight * place.heading
            plain += weight
        if not (item.term.required or place.heading or weight < 1):
            focus += weight
            focus_found += weight * max(place.inside, place.near)
    is_about_it = own / total >= OWN_SHARE or (plain > 0 and headed / plain >= HEADED)
    if not is_about_it or (focus and focus_found / focus < enough_focus):
        return 0.0
    return covered / total


def _best(match: dict[str, float], words: Counter[str] | frozenset[str]) -> float:
    return max((value for word, value in match.items() if word in words), default=0.0)


def _threshold(unit: Unit, question: Question) -> float:
    if _asks_for_reasons(question) and len(question.terms) > 1:
        return ENOUGH_TO_EXPLAIN
    return ENOUGH if has_wanted(unit.text, unit.stems, question) else ENOUGH_WITHOUT_VALUE


def _asks_for_reasons(question: Question) -> bool:
    return question.kind == "explain" and _REASONS.search(question.text) is not None


def _score(unit: Unit, question: Question, asked: Sequence[_Asked], found: Sequence[_Found], coverage: float) -> float:
    """Rank by coverage and by what the sentence itself holds of the rare words, in proportion to its length."""
    have = want = 0.0
    for item, place in zip(asked, found, strict=True):
        weight = item.term.weight * item.rarity * (TOPIC_RANKS if place.heading else 1.0)
        weight *= NAME_RANKS if item.term.required else 1.0
        want += weight
        # All below a heading is about it, so a sentence need not say it again.
        have += weight * max(place.inside, place.heading, NEAR_RANKS * place.near)
    density = min(1.0, 25 / max(len(unit.stems), 1))
    score = 0.4 * coverage + 0.5 * (have / want if want else 0.0) * (0.9 + 0.1 * density)
    score += 0.2 if question.wanted and has_wanted(unit.text, unit.stems, question) else 0.0
    score += 0.08 if _defines(unit, question) else 0.0
    return score if unit.text.rstrip("\"'”’)*_`")[-1:] in ".!?。！？" else score - 0.05


def _defines(unit: Unit, question: Question) -> bool:
    """Does the sentence begin with what is asked about and go on with "is"?"""
    start = unit.stems[:8]
    return len(question.terms) <= 3 and any(t.stem in start[:4] for t in question.terms) and "be" in start


def _alike(a: Unit, b: Unit) -> float:
    both = len(a.bag.keys() & b.bag.keys())
    if both < 2:
        return 0.0
    return both / (math.log(1 + len(a.bag)) + math.log(1 + len(b.bag)))


_LIFE = re.compile(r"\([^()]*\b\d{4}\s*[–—-]\s*[^()]*\b\d{4}\)")
_REASONS = re.compile(r"\b(?:why|how|list)\b", re.IGNORECASE)
_REFERRING = frozenset(stem(word) for word in ("it", "they", "them"))
_PRONOUN_STEMS = frozenset(stem(word) for word in PRONOUNS)
