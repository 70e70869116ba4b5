"""The answer: quoted sentences with numbered citations, or a plain word that there are none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.engine.messages import Citation
from agents.llm.offline.goal import NAME_WEIGHT, Goal, Question
from agents.llm.offline.rank import (
    Corpus,
    Hit,
    Unit,
    find_answers,
    find_source,
    opens_with_pronoun,
    rank_central,
    similarity,
)
from agents.llm.offline.reports import report_parts
from agents.llm.offline.sources import Findings, Quote
from agents.llm.offline.wording import LEAD, one_line, verbatim

SAME = 0.7
"""Two sentences with more than this share of words in common say the same."""

CLOSE = {"fact": 0.7, "explain": 0.65, "summary": 0.0}
MOST = {"fact": 3, "explain": 4, "summary": 5}
"""By kind of question: how close to the best a sentence must be to be quoted too, and how many are quoted."""

MAX_QUOTE = 900

_YES_OR_NO = re.compile(r"\W*(?:can|could|may|must|should|shall|am|is|are|do|does|will)\b", re.IGNORECASE)


@dataclass(slots=True)
class Answer:
    """The answer's text and its citations; citation n is written [n] in the text."""

    text: str = ""
    citations: list[Citation] = field(default_factory=list)

    def cite(self, quote: Quote) -> int:
        """Give the number under which a quote is cited."""
        citation = quote.passage.cite(quote.text)
        if citation not in self.citations:
            self.citations.append(citation)
        return self.citations.index(citation) + 1


def unanswered(goal: Goal, findings: Findings) -> list[Question]:
    """Give the questions for which nothing has been found yet."""
    corpus = Corpus.of(findings.passages)
    return [question for question in goal.questions if not choose_quotes(corpus, question, findings)]


def write_answer(goal: Goal, findings: Findings) -> Answer:
    """Write the answer from what was found."""
    answer = Answer()
    parts = [LEAD]
    parts += [_failed(name, message) for name, message in findings.failures]
    parts += [f"`{one_line(text)}`" for text in findings.sums] + findings.waits
    parts += report_parts(findings, answer.cite)
    corpus = Corpus.of(findings.passages)
    # What others were asked has been answered with their reports.
    questions = () if findings.reports and not findings.passages else goal.questions
    several = len(questions) > 1
    for question in questions:
        if several:
            parts.append(f"**{one_line(question.text).rstrip('.')}**")
        quotes = choose_quotes(corpus, question, findings)
        parts += [f'> "{verbatim(quote.text)}" [{answer.cite(quote)}]' for quote in quotes]
        if not quotes:
            parts.append(_nothing(findings))
    if not goal.questions and goal.urls and not findings.reports:
        quotes = _summary(corpus, corpus.units)
        parts += [f'> "{verbatim(quote.text)}" [{answer.cite(quote)}]' for quote in quotes]
        if not quotes:
            parts.append(_nothing(findings))
    if len(parts) == 1:
        parts.append("I see no question, address, sum or pause in this goal that my rules know.")
    if answer.citations:
        parts.append(_sources(answer.citations))
    answer.text = "\n\n".join(parts)
    return answer


def choose_quotes(corpus: Corpus, question: Question, findings: Findings) -> list[Quote]:
    """Give what to quote for a question, best first; a summary in the order of its sources."""
    if question.kind == "summary":
        return _summarise(corpus, question, findings)
    hits = find_answers(corpus, question)
    if not hits:
        return []
    close = CLOSE[question.kind] * hits[0].score
    chosen: list[Unit] = []
    for hit in hits:
        if hit.score < close or len(chosen) == MOST[question.kind]:
            break
        if all(similarity(hit.unit, other) < SAME for other in chosen):
            chosen.append(hit.unit)
    if question.kind == "explain" or _YES_OR_NO.match(question.text):
        # Whether something may be done is often said right after the sentence that names it.
        chosen += _continued(corpus, chosen, hits)
    return _joined([_with_antecedent(corpus, unit) for unit in chosen])


def _summarise(corpus: Corpus, question: Question, findings: Findings) -> list[Quote]:
    """Summarise the pages that the goal names, else the document that is most about the question's topic."""
    topical = tuple(term for term in question.terms if term.weight >= NAME_WEIGHT)
    fetched = set(findings.fetched)
    best = find_source(corpus, topical) if topical else None
    if best is None and topical and not fetched:
        return []
    sources = {best} if best is not None else fetched
    return _summary(corpus, [unit for unit in corpus.units if not sources or unit.passage.source in sources])


def _summary(corpus: Corpus, units: Sequence[Unit]) -> list[Quote]:
    """Give the most central sentences in the order in which they stand."""
    rank_central(corpus, units)
    chosen: list[Unit] = []
    for unit in sorted(units, key=lambda unit: -unit.central * (1.2 if unit.sentence.block == 0 else 1.0)):
        if len(unit.stems) >= 5 and all(similarity(unit, other) < SAME for other in chosen):
            chosen.append(unit)
        if len(chosen) == MOST["summary"]:
            break
    chosen.sort(key=lambda unit: unit.position)
    return _joined([[unit] for unit in chosen])


def _continued(corpus: Corpus, chosen: Sequence[Unit], hits: Sequence[Hit]) -> list[Unit]:
    """An explanation that is one sentence goes on in the next one of the same block."""
    if len(chosen) != 1:
        return []
    following = corpus.neighbour(chosen[0], 1)
    if following is None or following.sentence.block != chosen[0].sentence.block:
        return []
    return [following]


def _with_antecedent(corpus: Corpus, unit: Unit) -> list[Unit]:
    """Put before a sentence that begins with "it" or "this" the one that says what that is."""
    before = corpus.neighbour(unit, -1)
    if before is None or before.sentence.block != unit.sentence.block or not opens_with_pronoun(unit):
        return [unit]
    return [before, unit] if unit.sentence.end - before.sentence.start <= MAX_QUOTE else [unit]


def _joined(stretches: Sequence[Sequence[Unit]]) -> list[Quote]:
    """Make quotes of stretches of sentences; those that touch become one."""
    quotes: list[Quote] = []
    for stretch in stretches:
        quote = Quote(stretch[0].passage, stretch[0].sentence.start, stretch[-1].sentence.end)
        for at, other in enumerate(quotes):
            if _touch(quote, other):
                quotes[at] = Quote(quote.passage, min(quote.start, other.start), max(quote.end, other.end))
                break
        else:
            quotes.append(quote)
    return quotes


def _touch(a: Quote, b: Quote) -> bool:
    if a.passage is not b.passage or max(a.end, b.end) - min(a.start, b.start) > MAX_QUOTE:
        return False
    if a.start < b.end and b.start < a.end:
        return True
    between = a.passage.text[min(a.end, b.end) : max(a.start, b.start)]
    return not between.strip() and "\n\n" not in between


def _nothing(findings: Findings) -> str:
    places = ["the workspace's documents"] if findings.searched else []
    places += list(dict.fromkeys(findings.fetched))
    if not places:
        return "I found nothing in my sources that answers this: there was no document to search and no page to read."
    return f"I found nothing in {' or '.join(places)} that answers this."


def _failed(name: str, message: str) -> str:
    return f"The tool `{name}` failed: {one_line(message)}"


def _sources(citations: Sequence[Citation]) -> str:
    numbers: dict[tuple[str, str], list[int]] = {}
    for number, citation in enumerate(citations, 1):
        numbers.setdefault((citation.source, citation.title), []).append(number)
    lines = [
        f"- {' '.join(f'[{n}]' for n in found)} {one_line(title) or source}" + (f" ({source})" if title else "")
        for (source, title), found in numbers.items()
    ]
    return "\n".join(["**Sources**", "", *lines])
