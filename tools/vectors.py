"""Texts as vectors: ports for embedders and stores, and an embedder that needs no key and no model.

EMBEDDER names another embedder by its dotted path: a class or function that gives one when it is called without
arguments. Vectors of different embedders are kept apart by the embedders' names.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import nlargest
from importlib import import_module
from operator import mul
from typing import Protocol
from zlib import crc32

from django.conf import settings

from tools.threads import computing

_WORD = re.compile(r"\w+")
_GRAM = 4
_PART = 0.5


class Embedder(Protocol):
    """Makes vectors of texts. It may block, and is called in a thread.

    What computes in this process takes turns; one that asks a server instead says so by `is_remote = True`.
    """

    @property
    def name(self) -> str:
        """Tells vectors of this embedder from those of others; another version is another name."""
        ...

    def embed(self, texts: Sequence[str]) -> list[array[float]]:
        """Give a vector of length 1 for each text, all of the same number of dimensions."""
        ...


@dataclass(frozen=True, slots=True)
class Match:
    """What a store found; `score` is the cosine of the angle between the two vectors."""

    id: int
    score: float


class VectorStore(Protocol):
    """Keeps vectors by the numbers of what they stand for, for each workspace and embedder."""

    def missing(self, workspace_id: int, embedder: str, limit: int) -> list[tuple[int, str]]:
        """Give (number, text) of what has no vector yet."""
        ...

    def put(self, workspace_id: int, embedder: str, vectors: Iterable[tuple[int, array[float]]]) -> None:
        """Keep vectors; one that is there already stays."""
        ...

    def nearest(self, workspace_id: int, embedder: str, vector: array[float], limit: int) -> list[Match]:
        """Give the nearest, the nearest first."""
        ...


class HashingEmbedder:
    """Counts words and parts of words in as many places as there are dimensions.

    Texts are near each other that share words or, with less weight, their parts: `returning` is near `returned`, and a
    misspelt word near itself. It knows no synonyms: for those name a model's embedder.
    """

    name = "hashing-1"
    dimensions = 512

    def embed(self, texts: Sequence[str]) -> list[array[float]]:
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> array[float]:
        features: defaultdict[str, float] = defaultdict(float)
        for word in _WORD.findall(text.casefold()):
            # Short words are the common ones, in most languages: they say least of what a text is about.
            weight = (min(len(word), 8) / 8) ** 2
            features[word] += weight
            padded = f"<{word}>"
            for start in range(max(1, len(padded) - _GRAM + 1)):
                features[f"#{padded[start : start + _GRAM]}"] += weight * _PART
        vector = [0.0] * self.dimensions
        for feature, amount in features.items():
            hashed = crc32(feature.encode("utf-8", "replace"))
            weight = math.sqrt(amount)
            # The sign makes collisions cancel out instead of adding up.
            vector[hashed % self.dimensions] += weight if hashed & 0x8000_0000 else -weight
        return normalized(vector)


def normalized(vector: Sequence[float]) -> array[float]:
    """Give the vector with length 1; one of length 0 stays."""
    length = math.sqrt(sum(map(mul, vector, vector))) or 1.0
    return array("f", (value / length for value in vector))


def best(vector: array[float], others: Iterable[tuple[int, bytes]], limit: int) -> list[Match]:
    """Compare a vector with all others, as their bytes; for stores that keep no index."""

    def score(other: bytes) -> float:
        read = array("f")
        read.frombytes(other)
        return sum(map(mul, vector, read)) if len(read) == len(vector) else -1.0

    return nlargest(limit, (Match(id, score(other)) for id, other in others), key=lambda match: match.score)


@cache
def _load(path: str) -> Embedder:
    module, _, name = path.rpartition(".")
    made: Embedder = getattr(import_module(module), name)()
    return made


def embed(chosen: Embedder, texts: Sequence[str]) -> list[array[float]]:
    """Have vectors made of texts, when it is their turn. It blocks."""
    if getattr(chosen, "is_remote", False):
        return chosen.embed(texts)
    with computing():
        return chosen.embed(texts)


def embedder() -> Embedder:
    """Give the embedder that the operator has chosen."""
    return _load(settings.EMBEDDER)
