"""Documents: added, removed, searched."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

from django.db import IntegrityError, connection, transaction

from agents.models import Document, Passage, User, Workspace
from agents.services import passage_index
from agents.services.errors import InvalidInput
from agents.services.events import emit_event
from agents.services.passages import split
from agents.services.terms import Query, parse_query, terms_of
from tools.text import clean_text
from tools.types import FoundPassage

MAX_BYTES = 5_000_000
MAX_TITLE = 300
MAX_URL = 2_000
MAX_RESULTS = 50
MEDIA_TYPES = ("text/plain", "text/markdown", "text/html", "text/csv", "application/json")

_ROWS_AT_ONCE = 500
_CANDIDATES = 200
# The usual constants of BM25: how soon repetition stops counting, how much long passages are marked down.
_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75


def add_document(
    *,
    workspace: Workspace,
    title: str,
    text: str,
    url: str = "",
    media_type: str = "text/plain",
    by: User | None,
) -> Document:
    """Add a text to the workspace. The same text again gives the document that is already there."""
    text = clean_text(text).replace("\r\n", "\n")
    encoded = text.encode()
    if len(encoded) > MAX_BYTES:
        raise InvalidInput(f"The text has {len(encoded):,} bytes; a document has at most {MAX_BYTES:,}.", "text")
    if media_type not in MEDIA_TYPES:
        raise InvalidInput(f"{media_type[:100]!r} is not one of {', '.join(MEDIA_TYPES)}.", "media_type")
    first_line = _first_line(text)
    document = Document(
        workspace=workspace,
        title=_title(title) or _title(first_line) or "Untitled",
        url=_url(url),
        media_type=media_type,
        text=text,
        size=len(encoded),
        digest=hashlib.sha256(encoded).hexdigest(),
        created_by=by,
    )
    known = Document.objects.filter(workspace=workspace, digest=document.digest)
    if (existing := known.first()) is not None:
        return existing
    try:
        with transaction.atomic():
            document.save(force_insert=True)
            Passage.objects.bulk_create(_passages(document), batch_size=_ROWS_AT_ONCE)
            _tell_of(document)
    except IntegrityError:
        # Somebody added the same text at the same time; theirs is as good.
        return known.get()
    return document


def remove_document(document: Document, *, by: User | None) -> None:
    """Remove a document and its passages. Answers that quote it keep their quotes."""
    document.delete()


def search_documents(*, workspace: Workspace | int, query: str, limit: int = 8) -> list[Passage]:
    """Give the workspace's passages that fit the query, best first, each with its `score`.

    Any of the query's words may match: rare ones count more (BM25, the same on every database). Double quotes make a
    phrase, whose passages come first; -word leaves out passages with that word.
    """
    workspace_id = workspace if isinstance(workspace, int) else workspace.pk
    wanted = parse_query(query)
    if not wanted.terms:
        return []
    index = passage_index.of(connection)
    frequencies = index.frequencies(workspace_id, wanted.terms)
    weights = _weights(workspace_id, frequencies)
    # Words that are nearly everywhere would make every passage a candidate, and tell nothing beside rarer ones.
    rare = {term: weight for term, weight in weights.items() if frequencies[term] < passage_index.MANY}
    ids = index.candidates(workspace_id, rare or weights, wanted.excluded, _CANDIDATES)
    found = Passage.objects.filter(workspace_id=workspace_id, pk__in=ids)
    passages = list(found.select_related("document").defer("document__text"))
    return _ranked(passages, wanted, weights)[: max(1, min(limit, MAX_RESULTS))]


def find_passages(workspace_id: int, query: str, limit: int) -> list[FoundPassage]:
    """Search as tools do, in their words."""
    return [
        FoundPassage(
            document_id=passage.document_id,
            title=passage.document.title,
            text=passage.text,
            start=passage.start,
            end=passage.end,
            score=passage.score,
            url=passage.document.url,
        )
        for passage in search_documents(workspace=workspace_id, query=query, limit=limit)
    ]


def _tell_of(document: Document) -> None:
    """Make the new document an event. Its text stays where it is; whoever wants it reads the document."""
    data = {
        "document": document.pk,
        "title": document.title,
        "url": document.url,
        "media_type": document.media_type,
        "size": document.size,
        "by": document.created_by.get_username() if document.created_by else None,
    }
    # What a document says, its title too, may be by anybody: as what a search of documents finds.
    emit_event(document.workspace, "document.added", data, source="documents", tainted=True)


def _weights(workspace_id: int, frequencies: Mapping[str, int]) -> dict[str, float]:
    """Weigh the terms that occur at all by how rare they are."""
    total = max([Passage.objects.filter(workspace_id=workspace_id).count(), *frequencies.values()])
    return {term: math.log(1 + (total - count + 0.5) / (count + 0.5)) for term, count in frequencies.items() if count}


def _ranked(passages: list[Passage], wanted: Query, weights: Mapping[str, float]) -> list[Passage]:
    """Score the passages; those with whole phrases come first, then the best."""
    words = {passage.pk: passage.terms.split() for passage in passages}
    average = sum(map(len, words.values())) / len(words) if words else 1.0
    for passage in passages:
        counts = Counter(words[passage.pk])
        length = 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * len(words[passage.pk]) / average
        passage.score = sum(
            weight * counts[term] * (_SATURATION + 1) / (counts[term] + _SATURATION * length)
            for term, weight in weights.items()
        )

    def order(passage: Passage) -> tuple[int, float, int]:
        padded = f" {passage.terms} "
        whole = sum(f" {' '.join(phrase)} " in padded for phrase in wanted.phrases)
        return -whole, -passage.score, passage.pk

    return sorted(passages, key=order)


def _passages(document: Document) -> list[Passage]:
    # The title's words help to find each passage: "within 30 days" alone does not say of what.
    heading = terms_of(document.title)
    return [
        Passage(
            workspace_id=document.workspace_id,
            document=document,
            number=number,
            start=start,
            end=end,
            text=document.text[start:end],
            terms=" ".join([*heading, *terms_of(document.text[start:end])]),
        )
        for number, (start, end) in enumerate(split(document.text), start=1)
    ]


def _first_line(text: str) -> str:
    """Give what a text begins with, which is often its title; raises InvalidInput for one without any words."""
    spans = split(text)
    if not spans:
        raise InvalidInput("The document has no text.", "text")
    start, end = spans[0]
    return text[start:end].lstrip("# ").partition("\n")[0][:80]


def _title(title: str) -> str:
    return " ".join(clean_text(title).split())[:MAX_TITLE].rstrip()


def _url(url: str) -> str:
    url = clean_text(url).strip()
    if len(url) > MAX_URL:
        raise InvalidInput(f"The address has more than {MAX_URL:,} characters.", "url")
    try:
        scheme = urlsplit(url).scheme
    except ValueError as error:
        raise InvalidInput("This is no address.", "url") from error
    # It becomes a link: nothing but the web, no javascript:.
    if url and scheme not in ("http", "https"):
        raise InvalidInput("A document's address starts with http:// or https://.", "url")
    return url
